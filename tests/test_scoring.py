"""Tests for tfprune.scoring."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests import strategies
from tests import zoo
from tfprune import budgets
from tfprune import criteria
from tfprune import evaluation
from tfprune import gradients
from tfprune import masking
from tfprune import rankings
from tfprune import reading
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import base
from tfprune.layers import channel_mask


def cross_entropy(labels, outputs):
    return keras.losses.sparse_categorical_crossentropy(
        labels, outputs, from_logits=True
    )


def little_network():
    """Returns a network of three filters, and its two labelled examples."""
    inputs = keras.Input((1, 2, 2))
    conv = layers.Conv2D(3, 1, use_bias=False, name="conv")
    dense = layers.Dense(2, use_bias=False)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(conv(inputs)))
    model = keras.Model(inputs, dense(x))
    conv.kernel.assign(np.array([[[[1, -1, 0.5], [1, 0.5, -1]]]]))
    dense.kernel.assign(np.transpose([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]))
    channels = [[[1, 2], [0, 1]], [[3, -1], [1, -2]]]  # [example, channel, x]
    images = np.transpose(channels, (0, 2, 1))[:, None].astype("float32")
    return model, images, np.array([0, 1])


def test_little_network_by_hand():
    model, images, labels = little_network()
    np.testing.assert_allclose(
        model(images), [[2.5, -0.25], [4, -1]], rtol=1e-6
    )
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    found = scoring.score(
        masked,
        graph,
        {
            "m22": criteria.TaylorFO(),
            "m23": criteria.TaylorFO(per_example=True),
            "oracle": criteria.Oracle(),
            "m40": criteria.Oracle(absolute=True),
            "m0": criteria.TaylorWeight(),
            "m6": criteria.TaylorOutput(),
        },
        tf.data.Dataset.from_tensors((images, labels)),
        cross_entropy,
    )
    units = graph.layer_units("conv")
    expected = {
        "m22": [0.8709005, 0, 2.15334561],
        "m23": [0.9902695, 0, 2.22049067],
        "oracle": [-0.81661229, 0, -1.40741346],
        "m40": [0.81661229, 0, 1.40741346],
        "m0": [0.54431281, 0, 1.07692666],
    }
    assert list(found) == [*expected, "m6"]
    for name, values in expected.items():
        np.testing.assert_allclose(
            found[name][units], values, rtol=2e-6, atol=1e-7, err_msg=name
        )
    everything = np.ones(graph.num_units, bool)
    normed = rankings.layer_ranking(found["m6"], graph, everything)
    np.testing.assert_allclose(
        normed[units], [0.57151212, 0, 0.8205936], rtol=1e-6
    )


def dataset(examples=7, batch_size=4, shape=(8, 8, 3)):
    rng = np.random.default_rng(2)
    images = rng.normal(size=(examples, *shape)).astype("float32")
    labels = rng.integers(0, 3, examples)
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    return data.batch(batch_size)


CRITERIA = {
    "taylor": criteria.TaylorFO(),
    "per_example": criteria.TaylorFO(per_example=True),
    "norm": criteria.WeightNorm(2),
    "random": criteria.Random(3),
    "oracle": criteria.Oracle(),
}


def scored(name="residual_identity", which=CRITERIA, data=None, **kwargs):
    model = zoo.NETWORKS[name]()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    data = dataset() if data is None else data
    return graph, scoring.score(
        masked, graph, which, data, cross_entropy, **kwargs
    )


def test_several_criteria_in_one_pass_equal_single_passes():
    model = zoo.NETWORKS["plain"]()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    arguments = graph, dataset(), cross_entropy
    graph, data, loss_fn = arguments
    together = scoring.score(masked, graph, CRITERIA, data, loss_fn)
    for name, criterion in CRITERIA.items():
        alone = scoring.score(masked, graph, criterion, data, loss_fn)
        (values,) = alone.values()
        np.testing.assert_allclose(together[name], values, rtol=1e-5)


@pytest.mark.parametrize("name", ["residual_padded", "shared_layer"])
def test_one_and_two_replicas_agree_and_choose_the_same_units(name):
    model = zoo.NETWORKS[name]()
    graph = tracing.trace(model)
    if name == "shared_layer":
        data = tf.data.Dataset.zip(dataset(7), dataset(7)).map(
            lambda a, b: ((a[0], b[0][:, ::-1]), a[1])
        )
        which = CRITERIA
    else:
        data, which = dataset(), CRITERIA
    weights = model.get_weights()
    found = []
    for strategy in (
        strategies.one_replica(),
        strategies.two_replicas(),
    ):
        with strategy.scope():
            again = zoo.NETWORKS[name]()
            again.set_weights(weights)
            masked = masking.mask_model(again, tracing.trace(again))
            again_graph = tracing.trace(again)
            found.append(
                scoring.score(masked, again_graph, which, data, cross_entropy)
            )
    one, two = found
    everything = np.ones(graph.num_units, bool)
    for criterion in which:
        size = np.abs(one[criterion]).max()
        np.testing.assert_allclose(
            two[criterion],
            one[criterion],
            rtol=1e-5,
            atol=1e-5 * size,
            err_msg=criterion,
        )
        keeps = [
            budgets.select(
                scores[criterion],
                graph,
                everything,
                budgets.Budget(units=0.5),
            )
            for scores in found
        ]
        np.testing.assert_array_equal(*keeps)


def tied():
    """Returns a net whose two gates of a unit see 1, 2 and 3, -4."""
    inputs = keras.Input((2,))
    branches = []
    for name, values in (("a", [1.0, 2.0]), ("b", [3.0, -4.0])):
        dense = layers.Dense(2, use_bias=False, name=name)
        branches.append(layers.ReLU()(dense(inputs)) - 0.0)
        dense.kernel.assign(np.diag(values))
    x = layers.Add(name="add")(branches)
    return keras.Model(inputs, layers.Dense(1)(x))


@pytest.mark.parametrize(
    "ties, expected",
    [
        ("sum", [4.0, 6.0]),
        ("mean", [2.0, 3.0]),
        ("max", [3.0, 4.0]),
        ("min", [1.0, 2.0]),
    ],
)
def test_places_of_a_unit_make_up_its_score(ties, expected):
    model = tied()
    graph = tracing.trace(model)
    found = scoring.score(
        masking.mask_model(model, graph),
        graph,
        criteria.WeightNorm(1, ties=ties),
        tf.data.Dataset.from_tensors((np.eye(2), np.zeros(2, int))),
        lambda labels, outputs: outputs[:, 0],
    )
    units = graph.layer_units("add")
    np.testing.assert_allclose(found["WeightNorm"][units], expected)


@pytest.mark.parametrize("ties", ["mean", "max", "min"])
def test_ties_are_of_the_scores_of_single_gates(ties):
    model = zoo.NETWORKS["residual_identity"]()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    criterion, data = criteria.TaylorFO(ties=ties), dataset(4)
    found = scoring.score(masked, graph, criterion, data, cross_entropy)
    (batch,) = data
    seen = gradients.backward(
        masked, cross_entropy, *batch, tap=channel_mask.tapped, training=False
    )
    read = reading.Reader(masked, graph, cross_entropy).read(seen, *batch)
    units, parts = zip(*criterion.pairs(read))
    units = np.concatenate([each.ravel() for each in units])
    squares = np.concatenate(parts, axis=1).mean(axis=0) ** 2
    combine = getattr(np, ties)
    for unit in np.flatnonzero(graph.prunable):
        np.testing.assert_allclose(
            found["TaylorFO"][unit], combine(squares[units == unit]), rtol=1e-4
        )


def test_masks_and_weights_are_as_before():
    model = zoo.network("residual_identity")
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    keep = zoo.random_keep(graph, 0)
    masking.set_mask(masked, graph, keep)
    before = masked.get_weights()
    scoring.score(masked, graph, CRITERIA, dataset(), cross_entropy)
    for a, b in zip(masked.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_scores_permute_with_the_channels():
    model = zoo.NETWORKS["plain"]()
    graph = tracing.trace(model)
    first, second = model.layers[1:3]
    units = graph.layer_units(first.name)
    order = np.random.default_rng(0).permutation(len(units))
    which = {k: v for k, v in CRITERIA.items() if k != "random"}

    def score():
        masked = masking.mask_model(model, graph)
        return scoring.score(masked, graph, which, dataset(), cross_entropy)

    before = score()
    first.kernel.assign(first.kernel.numpy()[..., order])
    first.bias.assign(first.bias.numpy()[order])
    second.kernel.assign(second.kernel.numpy()[:, :, order])
    after = score()
    for name in which:
        size = np.abs(before[name]).max()
        np.testing.assert_allclose(
            after[name][units],
            before[name][units][order],
            rtol=1e-4,
            atol=1e-6 * size,
        )


def test_scores_are_averaged_over_batches():
    model = zoo.NETWORKS["plain"]()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)

    def score(data, **kwargs):
        scores = scoring.score(
            masked, graph, criteria.TaylorFO(), data, cross_entropy, **kwargs
        )
        return scores["TaylorFO"]

    data = dataset(8)
    first, second = score(data.take(1)), score(data.skip(1))
    np.testing.assert_allclose(score(data), (first + second) / 2, rtol=1e-4)
    np.testing.assert_allclose(score(data, batches=1), first, rtol=1e-4)
    each = scoring.each_batch(
        masked, graph, criteria.TaylorFO(), data, cross_entropy
    )
    for scores, expected in zip(each, (first, second), strict=True):
        np.testing.assert_allclose(scores["TaylorFO"], expected, rtol=1e-4)


def test_scores_of_a_batch_are_known_before_the_next_one_fails():
    model = zoo.NETWORKS["plain"]()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    data = dataset(8).map(lambda images, _: images)
    labels = tf.data.Dataset.from_tensor_slices([[0] * 4, [1] * 4])

    def loss_fn(labels, outputs):
        factors = 1 / tf.cast(1 - labels, outputs.dtype)
        return factors * cross_entropy(labels, outputs)

    each = scoring.each_batch(
        masked,
        graph,
        criteria.TaylorFO(),
        tf.data.Dataset.zip(data, labels),
        loss_fn,
    )
    assert np.isfinite(next(each)["TaylorFO"]).all()
    with pytest.raises(ValueError, match="Scores must be finite. Received"):
        next(each)


def test_bn_scale_names_the_layer_without_one():
    with pytest.raises(ValueError, match="BNScale must find.*layer 'conv2d"):
        scored("plain", criteria.BNScale())


@pytest.mark.parametrize(
    "data, message",
    [
        (
            dataset().map(lambda x, y: (x, y, y)),
            r"yields \(inputs, labels\)\. Received",
        ),
        (dataset(shape=(8, 9, 3)), r"batches of the model's inputs, .* 9, 3\)"),
        (
            dataset().map(lambda x, y: (x, y + 2)),
            r"from 0 to 2, for 3 classes\. Received: labels 3;",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        scored("plain", criteria.TaylorFO(), data=data)


def test_loss_of_the_whole_batch_is_refused():
    model = zoo.NETWORKS["plain"]()
    graph = tracing.trace(model)
    with pytest.raises(
        ValueError, match=r"each example, \[4\]\. .* shape \(\); .*reduction"
    ):
        scoring.score(
            masking.mask_model(model, graph),
            graph,
            criteria.TaylorFO(),
            dataset(),
            lambda labels, outputs: tf.reduce_mean(
                cross_entropy(labels, outputs)
            ),
        )


def errors(labels, outputs):
    return tf.cast(tf.argmax(outputs, -1) != labels, tf.float32)


def test_loss_without_gradient_is_refused():
    model = zoo.NETWORKS["plain"]()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    with pytest.raises(ValueError, match="`loss_fn` must have a gradient"):
        scoring.score(masked, graph, criteria.TaylorFO(), dataset(), errors)


def test_oracle_of_the_error_rate():
    model = zoo.NETWORKS["plain"]()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    data = dataset(8)
    scores = scoring.score(masked, graph, criteria.Oracle(), data, errors)

    def rate():
        return evaluation.evaluate(masked, data, errors)["loss"]

    unit = int(np.flatnonzero(graph.prunable)[0])
    keep = np.ones(graph.num_units, bool)
    keep[unit] = False
    dense = rate()
    masking.set_mask(masked, graph, keep)
    change = rate() - dense
    np.testing.assert_allclose(scores["Oracle"][unit], change, atol=1e-6)


def test_dataset_is_read_once():
    passes = []

    def batches():
        passes.append("begun")
        yield from dataset()

    data = tf.data.Dataset.from_generator(
        batches, output_signature=dataset().element_spec
    )
    scored("plain", criteria.TaylorFO(), data=data)
    assert passes == ["begun"]


@pytest.mark.parametrize("size", [1, 4])
def test_first_batch_is_checked_on_all_replicas(size):
    labels = tf.range(size)[::-1] - 1
    data = dataset(size, size).map(lambda x, y: (x, labels))
    refused = pytest.raises(ValueError, match="Received: labels -1")
    with strategies.two_replicas().scope(), refused:
        scored("plain", criteria.TaylorFO(), data=data)


def test_model_without_masks_is_refused():
    model = zoo.network("plain")
    graph = tracing.trace(model)
    with pytest.raises(ValueError, match="made by `mask_model`.* without a"):
        scoring.score(
            model, graph, criteria.TaylorFO(), dataset(), cross_entropy
        )


def test_empty_dataset():
    with pytest.raises(ValueError, match="hold some batches. Received: 0 b"):
        scored("plain", criteria.TaylorFO(), data=dataset().take(0))


def test_too_few_batches():
    with pytest.raises(ValueError, match="hold 3 batches. Received: 2 b"):
        scored("plain", criteria.TaylorFO(), batches=3)


@pytest.mark.parametrize("batches", [-1, 0, 2.5])
def test_number_of_batches_must_be_a_count(batches):
    with pytest.raises(ValueError, match="`batches` must be an int of at leas"):
        scored("plain", criteria.TaylorFO(), batches=batches)


@pytest.mark.parametrize(
    "which",
    [
        criteria.TaylorFO,
        "TaylorFO",
        [criteria.TaylorFO(), "WeightNorm"],
        [criteria.TaylorFO],
        {"taylor": criteria.TaylorFO},
        None,
    ],
)
def test_criteria_must_be_objects(which):
    with pytest.raises(
        ValueError, match=r"must be a Criterion, a list .* as `TaylorFO\(\)`"
    ):
        scored("plain", which)


class Broken(criteria.TaylorFO):
    """Replaces one of its methods by a function of its result."""

    def __init__(self, method, change):
        super().__init__()
        original = getattr(self, method)
        setattr(self, method, lambda x: change(original(x)))


@pytest.mark.parametrize(
    "method, change, message",
    [
        (
            "reduce",
            tf.reduce_sum,
            r"`reduce` of Broken .*\[17\], .* shape \(\)",
        ),
        ("reduce", lambda _: None, r"`reduce` of Broken .* shape None"),
        (
            "reduce",
            lambda scores: scores[1:],
            r"`reduce` of Broken .*\[17\], .* shape \(16,\)",
        ),
        (
            "contributions",
            lambda parts: tf.reduce_sum(parts, 0),
            r"`contributions` of Broken .*\[batch, 17\], .* shape \(17,\)",
        ),
        (
            "contribution",
            lambda part: tf.reduce_sum(part, 0),
            r"Broken must give each channel .*\[batch, 6\].* shape \(6,\)",
        ),
        (
            "contribution",
            lambda part: part[:, :-1],
            r"Broken must give each channel .*\[batch, 6\].* shape \(.*, 5\)",
        ),
    ],
)
def test_criterion_that_returns_another_shape_is_named(method, change, message):
    with pytest.raises(ValueError, match=message):
        scored("plain", Broken(method, change))


def test_two_criteria_of_one_name():
    which = [criteria.WeightNorm(1), criteria.WeightNorm(2)]
    with pytest.raises(ValueError, match="different names.*'WeightNorm', 'We"):
        base.named(which)
    assert base.named({"one": which[0], "two": which[1]})


@pytest.mark.parametrize("which", [[], {}])
def test_no_criterion(which):
    with pytest.raises(ValueError, match="must hold one. Received: {}"):
        base.named(which)


def test_scores_that_are_not_finite_name_criterion_and_layer():
    model = zoo.NETWORKS["plain"]()
    kernel = model.layers[1].kernel
    broken = kernel.numpy()
    broken[0, 0, 0, 0] = np.nan
    kernel.assign(broken)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    with pytest.raises(ValueError, match="WeightNorm gave nan .*'conv2d"):
        scoring.score(
            masked, graph, criteria.WeightNorm(), dataset(), cross_entropy
        )


def test_model_with_nothing_to_prune():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3)(inputs))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    scores = scoring.score(
        masked, graph, criteria.TaylorFO(), dataset(shape=(4,)), cross_entropy
    )
    assert scores["TaylorFO"].tolist() == [0.0] * graph.num_units
