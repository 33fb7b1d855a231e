"""Tests for tfprune.rules.over_time."""

import keras
import numpy as np
from keras import layers
import tensorflow as tf

from tests import odd
from tfprune import compaction
from tfprune import rules
from tfprune import masking
from tfprune import tracing
from tfprune import weights
from tfprune.criteria import weight_norm


def network(*inner):
    inputs = keras.Input((4, 6, 6, 2))
    x = inputs
    for layer in inner:
        x = layers.TimeDistributed(layer, name=f"{layer.name}_over_time")(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


def test_layer_inside_is_pruned():
    model = network(layers.Conv2D(6, 3, name="conv"))
    graph = tracing.trace(model)
    units = graph.layer_units("conv_over_time")
    assert graph.prunable[units].all()
    keep = np.ones(graph.num_units, bool)
    keep[units[[0, 2, 3, 4]]] = False
    small = compaction.compact(model, graph, keep)
    inner = small.get_layer("conv_over_time").layer
    assert inner.filters == 2
    np.testing.assert_array_equal(
        inner.kernel,
        model.layers[1].layer.kernel.numpy()[..., [1, 5]],
    )


def test_all_layers_of_a_model_over_time_can_be_pruned():
    rows = tracing.explain(odd.MODELS["frames"]())
    left = [r.prunable for r in rows if r.type == "TimeDistributed"]
    assert left == [6, 6, 6, 6, 5, 5 * 4, 6]
    assert not any(row.name in rows.uncounted for row in rows)


def test_norm_is_that_of_the_kernel_inside():
    model = network(layers.Conv2D(3, 1, name="a"), layers.Conv2D(2, 1))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    layer = masking.unwrapped(masked.get_layer("a_over_time"))
    read = weights.Weights(layer, {}, tf.ones(graph.num_units + 1), None)
    found = weight_norm.WeightNorm().layer_contribution(read)
    expected = np.abs(layer.layer.kernel).sum(axis=(0, 1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_model_inside_has_no_rule():
    inner = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(3, 1)])
    layer = layers.TimeDistributed(inner)
    assert type(rules.rule_for(layer)) is rules.Rule


def test_recurrent_layer_over_time_that_is_called_by_name():
    inputs = keras.Input((4, 5, 3))
    x = layers.TimeDistributed(layers.Dense(6))(inputs=inputs)
    x = layers.TimeDistributed(layers.LSTM(2))(inputs=x)
    graph = tracing.trace(keras.Model(inputs, layers.Dense(2)(x)))
    assert [row.prunable for row in graph.explain()] == [0, 6, 0, 0]
