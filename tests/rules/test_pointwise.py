"""Tests for tfprune.rules.pointwise."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from tests import odd
from tfprune import rules
from tfprune import tracing
from tfprune.rules import base
from tfprune.rules import pointwise

STOCHASTIC_DEPTH = odd.private(
    keras.applications.ConvNeXtTiny, "StochasticDepth"
)


def second_node(function):
    """Returns the graph and the node of a function of a convolution."""
    inputs = keras.Input((4, 4, 2))
    x = function(layers.Conv2D(3, 1)(inputs))
    x = layers.Dense(2)(layers.Conv2D(3, 1)(x))
    graph = tracing.trace(keras.Model(inputs, x))
    return graph, graph.nodes[1]


def reasons_of(graph, node):
    return {graph.reasons[unit] for unit in node.outputs[0].ravel()}


@pytest.mark.parametrize(
    "function, leaks",
    [
        (layers.ReLU(), False),
        (STOCHASTIC_DEPTH(0.5), False),
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


def numbered(x):
    return x + ops.arange(x.shape[-1], dtype=x.dtype)


@pytest.mark.parametrize(
    "function, reason",
    [
        (ops.relu, None),
        (ops.tanh, None),
        (ops.softmax, base.NORMALISED),
        (ops.log_softmax, base.NORMALISED),
        (lambda x: ops.softmax(x, axis=1), None),
        (lambda x: ops.max(x, axis=-1), base.NORMALISED),
        (lambda x: x / ops.norm(x, axis=-1, keepdims=True), base.NORMALISED),
        (lambda x: x * ops.mean(x, axis=(1, 2), keepdims=True), None),
        (numbered, base.NORMALISED),
        (lambda x: x * ops.cumsum(x, -1), base.NORMALISED),
        (lambda x: x * np.arange(2.0), base.SHAPE),
        (lambda x: x * np.arange(3.0), base.SHAPE),
        (lambda x: x * np.arange(4.0), base.SHAPE),
        (lambda x: x * np.ones((8, 8, 1)), None),
        (lambda x: x - ops.min(x), base.NORMALISED),
        (lambda x: x / (ops.max(x) - ops.min(x)), base.NORMALISED),
        (lambda x: x / ops.max(ops.abs(x), axis=0), None),
        (lambda x: ops.squeeze(x, axis=0)[None], None),
    ],
)
def test_functions_that_do_not_treat_channels_alike(function, reason):
    assert pointwise.obstacle(function, 3, -1) == reason


def of_several_channels(x):
    if x.shape[-1] == 1:
        raise ValueError("one channel")
    return x


def test_function_of_several_channels_is_asked_for_two():
    graph, node = second_node(layers.Activation(of_several_channels))
    assert graph.prunable[node.outputs[0]].all()
    assert not rules.rule_for(node.layer).leaks(node)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_functions_along_the_axis_of_the_channels(axis):
    for other in range(3):
        reason = pointwise.obstacle(
            lambda x, other=other: ops.softmax(x, axis=other + 1), 3, axis
        )
        assert reason == (base.NORMALISED if other == axis else None)


# Functions of `ops`, and what numpy says that each makes of zero.
AT_ZERO = {
    **dict.fromkeys(
        "abs absolute arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil "
        "copy cos cosh deg2rad exp exp2 expm1 floor i0 isfinite isinf isnan "
        "log log10 log1p log2 logical_not nan_to_num negative ones_like "
        "rad2deg reciprocal round sign signbit sin sinc sinh sqrt square tan "
        "tanh trunc zeros_like".split()
    ),
    "celu": 0.0,
    "elu": 0.0,
    "erf": 0.0,
    "erfc": 1.0,
    "erfinv": 0.0,
    "gelu": 0.0,
    "hard_shrink": 0.0,
    "hard_sigmoid": 0.5,
    "hard_silu": 0.0,
    "hard_tanh": 0.0,
    "leaky_relu": 0.0,
    "log_sigmoid": -np.log(2.0),
    "relu": 0.0,
    "relu6": 0.0,
    "rsqrt": np.inf,
    "selu": 0.0,
    "sigmoid": 0.5,
    "silu": 0.0,
    "soft_shrink": 0.0,
    "softplus": np.log(2.0),
    "softsign": 0.0,
    "sparse_plus": 0.25,  # (x + 1) ** 2 / 4 between -1 and 1
    "sparse_sigmoid": 0.5,
    "squareplus": 1.0,  # (x + sqrt(x ** 2 + 4)) / 2
    "stop_gradient": 0.0,
    "tanh_shrink": 0.0,
}


@pytest.mark.parametrize("name", [x for x in AT_ZERO if hasattr(ops, x)])
def test_operation_leaks_if_it_makes_a_number_of_zero(name):
    expected = AT_ZERO[name]
    if expected is None:
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(np.zeros(()))
    graph, node = second_node(getattr(ops, name))
    # What is no number cannot be masked, and there is no mask for a truth.
    if np.isfinite(expected) and expected is not np.True_:
        assert graph.prunable[node.outputs[0]].all()
    else:
        assert reasons_of(graph, node) == {base.NO_RULE}
    leaks = rules.rule_for(node.layer).leaks(node)
    assert leaks == bool(expected != 0)


@pytest.mark.parametrize(
    "function, leaks",
    [
        (keras.activations.relu, False),
        (lambda x: keras.activations.relu(x, threshold=0.5), False),
        (keras.activations.sigmoid, True),
    ],
)
def test_activations_called_on_tensors(function, leaks):
    graph, node = second_node(function)
    assert graph.prunable[node.outputs[0]].all()
    assert rules.rule_for(node.layer).leaks(node) == leaks


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
