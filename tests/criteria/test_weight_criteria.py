"""Tests for the criteria of weights: three filters of two inputs."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import strategies
from tests import zoo
from tfprune import compaction
from tfprune import criteria
from tfprune import masking
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import pointwise
from tfprune.criteria import reductions

KERNEL = np.array([[1.0, 0.5, 0.0], [-2.0, 0.5, 3.0]], "float32")
SLOPES = np.array([[0.1, -0.2, 1.0], [0.1, 0.4, -0.1]], "float32")


def weighted(labels, outputs):
    return tf.reduce_sum(labels * outputs, axis=-1)


def score(criterion, keep=None):
    """Returns the scores of filters whose mean loss has the slopes."""
    inputs = keras.Input((2,))
    first = layers.Dense(2, use_bias=False, name="first")
    hidden = layers.Dense(3, use_bias=False, name="hidden")
    last = layers.Dense(3, use_bias=False)
    model = keras.Model(inputs, last(hidden(first(inputs))))
    first.kernel.assign(np.eye(2))
    hidden.kernel.assign(KERNEL)
    last.kernel.assign(np.eye(3))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    units = graph.layer_units("hidden")
    if keep is not None:
        mask = np.ones(graph.num_units, bool)
        mask[graph.layer_units("first")] = keep
        masking.set_mask(masked, graph, mask)
    data = tf.data.Dataset.from_tensors((np.eye(2), 2 * SLOPES))
    found = scoring.score(masked, graph, criterion, data, weighted)
    (scores,) = found.values()
    return scores[units]


@pytest.mark.parametrize(
    "criterion, expected",
    [
        # (1 * .1) ** 2 + (2 * .1) ** 2 and so on, squared before the sum.
        (criteria.TaylorWeight(), [0.05, 0.05, 0.09]),
        (criteria.WeightNorm(1), [3.0, 1.0, 3.0]),
        (criteria.WeightNorm(2), np.sqrt([5.0, 0.5, 9.0])),
        (criteria.MeanSquaredWeight(), [2.5, 0.25, 4.5]),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_by_hand(criterion, expected):
    np.testing.assert_allclose(score(criterion), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "criterion, expected",
    [
        (criteria.MeanSquaredWeight(), [4.0, 0.25, 9.0]),
        (criteria.WeightNorm(1), [2.0, 0.5, 3.0]),
        (criteria.TaylorWeight(), [0.04, 0.04, 0.09]),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_weights_of_a_masked_input_do_not_count(criterion, expected):
    found = score(criterion, keep=[False, True])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "criterion",
    [
        criteria.WeightNorm(1),
        criteria.MeanSquaredWeight(),
        criteria.TaylorWeight(),
        criteria.TaylorFO(),
        criteria.MeanActivation(),
        criteria.TaylorFO(ties="max"),
    ],
    ids=lambda x: x.name,
)
@pytest.mark.parametrize("name", ["plain", "residual_identity", "squeeze_and_excite"])
def test_masked_model_scores_as_the_compacted_one(name, criterion):
    model = zoo.network(name)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    keep = zoo.random_keep(graph, 0, 0.6)
    masking.set_mask(masked, graph, keep)
    small = compaction.compact(masked)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, *model.input_shape[1:])).astype("float32")
    outputs = tf.random.stateless_normal((4, model.output_shape[-1]), (0, 1))
    data = tf.data.Dataset.from_tensors((images, outputs))

    def scores_of(masked, graph, alive):
        found = scoring.score(masked, graph, criterion, data, weighted)
        (scores,) = found.values()
        return scores[graph.prunable & alive]

    small_graph = tracing.trace(small)
    again = masking.mask_model(small, small_graph)
    everything = np.ones(small_graph.num_units, bool)
    # The last unit of a layer may be one that is frozen now.
    expected = scores_of(masked, graph, keep)
    found = scores_of(again, small_graph, everything)
    nearest = np.abs(expected[:, None] - found).argmin(axis=0)
    assert len(set(nearest)) == len(found) >= 0.5 * len(expected)
    np.testing.assert_allclose(
        found, expected[nearest], rtol=1e-3, atol=1e-6
    )


def normalised(scales, slopes):
    """Returns scores by `BNTaylor` for gamma, beta and their slopes."""
    inputs = keras.Input((3,))
    norm = layers.BatchNormalization(epsilon=0.0, name="norm")
    hidden = layers.Dense(3, use_bias=False, name="hidden")
    last = layers.Dense(3, use_bias=False)
    model = keras.Model(inputs, last(norm(hidden(inputs))))
    for layer in (hidden, last):
        layer.kernel.assign(np.eye(3))
    norm.gamma.assign(scales[0])
    norm.beta.assign(scales[1])
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    # The gradient to gamma is label * input, that to beta is the label.
    gammas, betas = map(np.array, slopes)
    data = tf.data.Dataset.from_tensors(
        ([gammas / betas], [betas.astype("float32")])
    )
    return [
        scoring.score(masked, graph, criteria.BNTaylor(beta), data, weighted)[
            "BNTaylor"
        ][graph.layer_units("norm")]
        for beta in (False, True)
    ]


def test_taylor_of_batch_normalisation_by_hand():
    gamma_only, both = normalised(
        [(1.0, -0.5, 2.0), (0.0, 1.0, -1.0)],
        [(0.2, 0.4, -0.1), (0.3, 0.1, 0.05)],
    )
    np.testing.assert_allclose(gamma_only, [0.04, 0.04, 0.04], rtol=1e-5)
    np.testing.assert_allclose(both, [0.04, 0.01, 0.0625], rtol=1e-5)


def test_gradients_of_weights_are_those_of_all_replicas():
    model = zoo.network("residual_identity")
    rng = np.random.default_rng(0)
    images = rng.normal(size=(5, *model.input_shape[1:])).astype("float32")
    data = tf.data.Dataset.from_tensors((images, np.arange(5) % 2))
    weights, found = model.get_weights(), []
    which = criteria.TaylorWeight()
    for strategy in (strategies.one_replica(), strategies.two_replicas()):
        with strategy.scope():
            again = zoo.NETWORKS["residual_identity"]()
            again.set_weights(weights)
            graph = tracing.trace(again)
            masked = masking.mask_model(again, graph)
            loss_fn = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction=None
            )
            scores = scoring.score(masked, graph, which, data, loss_fn)
            found.append(scores["TaylorWeight"][graph.prunable])
    assert found[0].max() > 0
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-9)


def test_tied_normalisations_are_zeroed_together():
    # Both end what is added up, as one gate on the sum would.
    inputs = keras.Input((4, 4, 3))
    ends = [
        layers.BatchNormalization(name=name)(layers.Conv2D(4, 1)(inputs))
        for name in ("one", "two")
    ]
    x = layers.GlobalAveragePooling2D()(layers.Add()(ends))
    model = keras.Model(inputs, layers.Dense(3)(x))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    images = rng.normal(size=(3, 4, 4, 3)).astype("float32")
    labels = rng.normal(size=(3, 3)).astype("float32")
    data = tf.data.Dataset.from_tensors((images, labels))
    which = [criteria.BNTaylor(), criteria.TaylorFO()]
    found = scoring.score(masked, graph, which, data, weighted)
    units = graph.layer_units("one")
    assert found["TaylorFO"][units].max() > 1e-3
    np.testing.assert_allclose(
        found["BNTaylor"][units], found["TaylorFO"][units], rtol=1e-4
    )


def test_bias_of_a_separable_convolution_is_a_weight():
    inputs = keras.Input((4, 4, 3))
    layer = layers.SeparableConv2D(2, 3, name="separable")
    x = layers.GlobalAveragePooling2D()(layer(inputs))
    model = keras.Model(inputs, layers.Dense(3)(x))
    layer.bias.assign([3.0, 5.0])
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    images, labels = np.ones((2, 4, 4, 3), "float32"), np.ones((2, 3), "float32")
    data = tf.data.Dataset.from_tensors((images, labels))
    which = {
        bias: criteria.WeightSaliency(
            pointwise.value, reductions.Sum(), bias=bias
        )
        for bias in (False, True)
    }
    found = scoring.score(masked, graph, which, data, weighted)
    units = graph.layer_units("separable")
    np.testing.assert_allclose(
        found[True][units] - found[False][units], [3.0, 5.0], rtol=1e-5
    )


def test_frozen_layer_without_units_to_go_is_left_out():
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 3, trainable=False, name="stem")(inputs)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 1, name="next")(x))
    model = keras.Model(inputs, layers.Dense(3, trainable=False)(x))
    graph = tracing.trace(model, frozen=("stem",))
    masked = masking.mask_model(model, graph)
    images = np.ones((2, 4, 4, 3), "float32")
    data = tf.data.Dataset.from_tensors((images, np.ones((2, 3), "float32")))
    found = scoring.score(masked, graph, criteria.TaylorWeight(), data, weighted)
    assert found["TaylorWeight"][graph.layer_units("next")].all()


def test_layer_that_is_not_trained_is_named():
    model = zoo.network("plain")
    model.layers[1].trainable = False
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    images = np.ones((2, *model.input_shape[1:]), "float32")
    data = tf.data.Dataset.from_tensors((images, np.ones((2, 1), "float32")))
    with pytest.raises(ValueError, match="layers that are trained. Received: "):
        scoring.score(masked, graph, criteria.TaylorWeight(), data, weighted)
