"""Tests for tfprune.rules.pointwise."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from tfprune import graph as graph_lib
from tfprune import rules
from tfprune.rules import pointwise


def second_node(function):
    """Returns the graph and the node of a function of a convolution."""
    inputs = keras.Input((4, 4, 2))
    x = function(layers.Conv2D(3, 1)(inputs))
    x = layers.Dense(2)(layers.Conv2D(3, 1)(x))
    graph = graph_lib.trace(keras.Model(inputs, x))
    return graph, graph.nodes[1]


@pytest.mark.parametrize(
    "function, leaks",
    [
        (layers.ReLU(), False),
        (layers.LeakyReLU(), False),
        (layers.ELU(), False),
        (layers.Activation("gelu"), False),
        (layers.Activation("sigmoid"), True),
        (layers.Activation(ops.cos), True),
        (ops.relu6, False),
        (ops.square, False),
        (lambda x: ops.clip(x, -1, 1), False),
        (lambda x: ops.cast(x, "float64"), False),
        (lambda x: ops.clip(x, 0.5, 1), True),
        (ops.exp, True),
        (abs, False),
        (lambda x: -x, False),
        (lambda x: x + 1, True),
        (lambda x: x * 2, False),
        (lambda x: x**2, False),
        (lambda x: 2.0 - x, True),
        (layers.Dropout(0.5), False),
        (layers.GaussianNoise(0.5), True),
        (layers.BatchNormalization(), True),
        (layers.MaxPooling2D(), False),
        (layers.Rescaling(2.0), False),
        (layers.Rescaling(2.0, 1.0), True),
        (layers.PReLU(), False),
    ],
)
def test_channels_pass_and_zeros_stay_zero_or_leak(function, leaks):
    graph, node = second_node(function)
    np.testing.assert_array_equal(node.outputs[0], node.inputs[0])
    assert graph.prunable[node.outputs[0]].all()
    assert rules.rule_for(node.layer).leaks(node) == leaks


@pytest.mark.parametrize(
    "function",
    [ops.log, ops.reciprocal, ops.rsqrt, layers.Activation(ops.log)],
)
def test_function_without_a_value_at_zero_freezes(function):
    graph, node = second_node(function)
    assert not graph.prunable[node.outputs[0]].any()
    assert "no rule for a layer it meets" in graph.reasons


@pytest.mark.parametrize(
    "activation, mixes",
    [
        (ops.relu, False),
        (ops.tanh, False),
        (ops.softmax, True),
        (ops.log_softmax, True),
        (lambda x: ops.max(x, axis=-1), True),
        (lambda x: x / ops.norm(x, axis=-1, keepdims=True), True),
        (lambda x: x * ops.mean(x, axis=(1, 2), keepdims=True), False),
    ],
)
def test_activations_that_mix_channels(activation, mixes):
    assert pointwise.mixes(activation, rank=4) == mixes


def test_units_on_the_weights_of_batch_normalisation():
    _, node = second_node(layers.BatchNormalization())
    assert sorted(node.axes) == [
        "beta",
        "gamma",
        "moving_mean",
        "moving_variance",
    ]
    for (units,) in node.axes.values():
        np.testing.assert_array_equal(units, node.outputs[0].ravel())


@pytest.mark.parametrize(
    "shared, expected",
    [
        ([1, 2], (None, None, 3)),
        ([1, 2, 3], (None, None, None)),
        (None, (None, None, 3)),
    ],
)
def test_units_on_the_slopes_of_prelu(shared, expected):
    _, node = second_node(layers.PReLU(shared_axes=shared))
    axes = node.axes["alpha"]
    assert tuple(x if x is None else len(x) for x in axes) == expected


@pytest.mark.parametrize(
    "layer, axis",
    [
        (layers.MaxPooling2D(data_format="channels_first"), 0),
        (layers.MaxPooling2D(), -1),
        (layers.ReLU(), -1),
    ],
)
def test_channel_axis(layer, axis):
    assert pointwise.channel_axis(layer) == axis
