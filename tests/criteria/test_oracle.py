"""Tests for tfprune.criteria.oracle."""

import keras
from keras import layers
from keras import tree
import numpy as np
import pytest
import tensorflow as tf

from tests import architectures
from tests import odd
from tests import strategies
from tests import zoo
from tfprune import graph as graph_lib
from tfprune import masking
from tfprune import scoring
from tfprune import tracing
from tfprune import verification
from tfprune.criteria import oracle

SMALL = [
    "plain",
    "residual_identity",
    "residual_padded",
    "zeros_without_unit",
    "dense_concat",
    "depthwise_separable",
    "grouped",
    "sliced",
    "squeeze_and_excite",
    "shared_layer",
    "siamese",
    "nested",
    "constants",
    "sequential",
    "two_inputs",
    "two_outputs",
]


def loss_fn(labels, outputs):
    """Returns the squared distance of all outputs from the label, [batch]."""
    errors = [
        tf.square(layers.Flatten()(x) - tf.cast(labels, x.dtype)[:, None])
        for x in tree.flatten(outputs)
    ]
    return tf.add_n([tf.reduce_mean(error, axis=1) for error in errors])


def random_inputs(model, examples=4):
    rng = np.random.default_rng(1)
    inputs = [
        rng.standard_normal((examples, *x.shape[1:])).astype("float32")
        for x in model.inputs
    ]
    return inputs[0] if len(inputs) == 1 else tuple(inputs)


def removable(graph, keep):
    """Returns the units that may go, and are not the last of a layer."""
    units = np.flatnonzero(graph.prunable & keep)
    last = [
        np.unique(x[graph_lib.stays(keep, x) & (x >= 0)])
        for x in graph.unit_sets
    ]
    return np.setdiff1d(units, [x[0] for x in last if len(x) == 1])


def check_by_brute_force(model, inputs, share=1.0, step=3, **tolerance):
    """Compares the oracle with masks that are set one after the other."""
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    keep = zoo.random_keep(graph, 0, share)
    masking.set_mask(masked, graph, keep)
    labels = np.arange(4) % 2
    before = masked.get_weights()
    scores = scoring.score(
        masked,
        graph,
        oracle.Oracle(),
        tf.data.Dataset.from_tensors((inputs, labels)),
        loss_fn,
    )
    for old, new in zip(before, masked.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    call = tf.function(lambda x: masked(x, training=False))
    losses = loss_fn(labels, call(inputs))
    changes = []
    for unit in removable(graph, keep)[::step]:
        without = keep.copy()
        without[unit] = False
        masking.set_mask(masked, graph, without)
        change = np.mean(loss_fn(labels, call(inputs)) - losses)
        changes.append(abs(change))
        np.testing.assert_allclose(
            scores["Oracle"][unit],
            change,
            **{"rtol": 1e-3, "atol": 1e-5, **tolerance},
        )
    assert max(changes) > 1e-3


@pytest.mark.parametrize("name", SMALL)
def test_equals_brute_force(name):
    model = zoo.network(name)
    check_by_brute_force(model, random_inputs(model))


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_heads_are_ablated_inside_of_their_layer(share):
    model = odd.built("vision_transformer")
    check_by_brute_force(model, random_inputs(model), share, step=2, rtol=1e-2)


@pytest.mark.parametrize("name", ["residual_padded", "shared_layer"])
def test_equals_brute_force_on_a_pruned_model(name):
    model = zoo.network(name)
    check_by_brute_force(model, random_inputs(model), share=0.6, step=1)


def test_inputs_by_name_reach_their_layers():
    b, a = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    x = layers.Dense(4)(b) * layers.Dense(4, activation="relu")(a)
    model = keras.Model([b, a], layers.Dense(2)(x))
    inputs = dict(zip("ba", random_inputs(model), strict=True))
    check_by_brute_force(model, inputs, step=1)


def test_inputs_by_the_keys_of_the_model_reach_their_layers():
    b, a = keras.Input((3,), name="b"), keras.Input((3,), name="a")
    x = layers.Dense(4)(b) * layers.Dense(4, activation="relu")(a)
    model = keras.Model({"a": b, "b": a}, layers.Dense(2)(x))
    inputs = dict(zip("ab", random_inputs(model), strict=True))
    check_by_brute_force(model, inputs, step=1)


def test_half_precision_layers_are_ablated():
    inputs = keras.Input((4,))
    x = layers.Dense(5, dtype="mixed_bfloat16")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(x))
    check_by_brute_force(model, random_inputs(model), step=1)


@pytest.fixture(params=[1, 12, 1000])
def examples(request, monkeypatch):
    """Makes the oracle compute so many examples at once: one batch is four."""
    monkeypatch.setattr(oracle, "EXAMPLES", request.param)
    return request.param


def score(model, inputs, labels, criterion=None, loss=loss_fn, keep=None):
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    if keep is not None:
        masking.set_mask(masked, graph, keep)
    data = tf.data.Dataset.from_tensors((inputs, labels))
    criterion = criterion or oracle.Oracle()
    (scores,) = scoring.score(masked, graph, criterion, data, loss).values()
    return scores


def test_dense_network_by_hand():
    inputs = keras.Input((2,))
    first, last = layers.Dense(2, use_bias=False), layers.Dense(1)
    model = keras.Model(inputs, last(layers.ReLU()(first(inputs))))
    first.kernel.assign([[1.0, 2.0], [3.0, -1.0]])
    last.kernel.assign([[2.0], [1.0]])
    # Hidden [4, 1], output 9; without the first unit 1, without the second 8.
    arguments = model, np.ones((1, 2), "float32"), np.array([5])
    units = tracing.trace(model).layer_units(first.name)

    def loss(labels, outputs):
        return outputs[:, 0] - tf.cast(labels, tf.float32)

    found = score(*arguments, loss=loss)
    np.testing.assert_allclose(found[units], [-8, -1])
    size = score(*arguments, oracle.Oracle(absolute=True), loss)
    np.testing.assert_allclose(size[units], [8, 1])


@pytest.mark.parametrize("name", ["plain", "residual_padded"])
def test_number_of_units_side_by_side_does_not_matter(examples, name):
    model = zoo.network(name)
    check_by_brute_force(model, random_inputs(model))


@pytest.mark.parametrize(
    "name",
    [
        "attention_to_words",
        "batch_moved_to_unknown_sizes",
        "channels_first",
        "examples_in_the_batch",
        "float64",
        "functions_of_places",
        "nested_twice",
        "padded_words",
        "shared_activations",
        "split_and_shuffle",
    ],
)
def test_equals_brute_force_on_odd_models(name):
    check_exactly(odd.built(name))


@pytest.mark.parametrize("seed", [1, 4, 7, 11, 25])
def test_equals_brute_force_on_random_models(seed):
    check_exactly(architectures.build(architectures.drawn(seed)), share=0.8)


def by_example(labels, outputs):
    """Returns `loss_fn` of outputs whose first axis may hold places, too."""
    shape = [tf.size(labels), -1]
    return loss_fn(labels, [tf.reshape(x, shape) for x in tree.flatten(outputs)])


def check_exactly(model, share=1.0):
    """Compares the oracle of two examples with masks, as shares of the loss."""
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    inputs = verification.random_inputs(model)
    if isinstance(inputs, list):
        inputs = inputs[0] if len(inputs) == 1 else tuple(inputs)
    keep = zoo.random_keep(graph, 0, share)
    labels = np.arange(len(tree.flatten(inputs)[0])) % 2
    scores = score(model, inputs, labels, keep=keep, loss=by_example)
    call = tf.function(lambda: masked(inputs, training=False))
    masking.set_mask(masked, graph, keep)
    losses = by_example(labels, call())
    for unit in removable(graph, keep)[::4]:
        without = keep.copy()
        without[unit] = False
        masking.set_mask(masked, graph, without)
        after = by_example(labels, call())
        limit = 3e-6 * np.maximum(np.max(losses), np.max(after))
        change = np.mean(after - losses)
        np.testing.assert_allclose(scores[unit], change, rtol=0, atol=limit)


@keras.saving.register_keras_serializable(package="tests")
class Mixing(layers.Layer):
    """A layer of a user, that compares each example with all others."""

    def call(self, x):
        return x - keras.ops.mean(x, axis=0, keepdims=True)


@keras.saving.register_keras_serializable(package="tests")
def less_mean(x):
    return x - keras.ops.mean(x, axis=0, keepdims=True)


@pytest.mark.parametrize("mix", [Mixing(), layers.Activation(less_mean)])
def test_examples_that_meet_are_those_of_the_batch(mix):
    inputs = keras.Input((4,))
    x = mix(layers.Dense(3)(layers.Dense(5, activation="relu")(inputs)))
    model = keras.Model(inputs, layers.Dense(2)(x))
    check_by_brute_force(model, random_inputs(model), step=1)


def test_one_example():
    model = zoo.network("plain")
    x, y = random_inputs(model), np.arange(4) % 2
    each = [score(model, x[n : n + 1], y[n : n + 1]) for n in range(2)]
    np.testing.assert_allclose(
        np.mean(each, axis=0), score(model, x[:2], y[:2]), rtol=1e-4, atol=1e-5
    )


def test_part_of_a_replica_may_be_empty():
    model = zoo.network("plain")
    x, y = random_inputs(model, 1), np.array([1])
    with strategies.one_replica().scope():
        one = score(model, x, y)
    with strategies.two_replicas().scope():
        again = zoo.network("plain")
        two = score(again, x, y)
    assert np.abs(one).max() > 1e-3
    np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-6)


def counted(runs):
    def loss(labels, outputs):
        runs.assign_add(1)
        return loss_fn(labels, outputs)

    return loss


def test_units_that_are_not_alive_take_no_time():
    model = zoo.network("residual_identity")
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    keep = zoo.random_keep(graph, 0)
    masking.set_mask(masked, graph, keep)
    runs = tf.Variable(0)
    x, y = random_inputs(model), np.arange(4) % 2
    scorer = scoring.Scorer(masked, graph, oracle.Oracle(), counted(runs))
    scores = tf.function(lambda: scorer.pass_over(x, y))()["Oracle"]
    alive = graph.prunable & keep
    assert runs.numpy() == alive.sum() + 2  # With taps, and as a whole.
    np.testing.assert_array_equal(scores.numpy() != 0, alive)


def test_candidates_alone_are_ablated_without_another_trace():
    model = zoo.network("dense_concat")
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    candidates = tf.Variable(tf.ones([graph.num_units], tf.bool))
    runs, traces = tf.Variable(0), []
    x, y = random_inputs(model), np.arange(4) % 2
    scorer = scoring.Scorer(
        masked, graph, oracle.Oracle(), counted(runs), candidates
    )

    @tf.function
    def scores():
        traces.append("traced")
        return scorer.pass_over(x, y)["Oracle"]

    every = scores().numpy()
    for number in range(3):
        some = np.arange(graph.num_units) % 3 == number
        candidates.assign(some)
        before = runs.numpy()
        expected = np.where(some & graph.prunable, every, 0)
        np.testing.assert_allclose(scores(), expected, rtol=1e-5, atol=1e-6)
        assert runs.numpy() - before == (some & graph.prunable).sum() + 2
    assert len(traces) == 1
