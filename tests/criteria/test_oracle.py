"""Tests for tfprune.criteria.oracle."""

import keras
from keras import layers
from keras import tree
import numpy as np
import pytest
import tensorflow as tf

from tests import odd
from tests import zoo
from tfprune import graph as graph_lib
from tfprune import masking
from tfprune import scoring
from tfprune import tracing
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
