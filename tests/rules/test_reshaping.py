"""Tests for tfprune.rules.reshaping."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from tfprune import rules
from tfprune import tracing


def moved(function, filters=4, side=2):
    """Returns the graph of a function of a convolution, and its node."""
    inputs = keras.Input((side, side, 1))
    x = function(layers.Conv2D(filters, 1)(inputs))
    # A layer without output units of its own keeps `x` from being an output.
    x = layers.Dense(1)(layers.Flatten()(x))
    graph = tracing.trace(keras.Model(inputs, x))
    return graph, graph.nodes[1]


@pytest.mark.parametrize(
    "function, shape, expected",
    [
        (layers.Reshape((4, 4)), (1, 4), [1, 2, 3, 4]),
        (layers.Reshape((-1, 4)), (1, 4), [1, 2, 3, 4]),
        (layers.Reshape((4, 1, 4)), (1, 1, 4), [1, 2, 3, 4]),
        (layers.Reshape((16,)), (16,), [1, 2, 3, 4] * 4),
        (layers.Reshape((2, 8)), (1, 8), [1, 2, 3, 4] * 2),
        (layers.Reshape((2, 2, 2, 2)), (1, 1, 1, 2), [1, 2]),
        (layers.Reshape((8, 2)), (1, 2), [1, 2]),
        (lambda x: ops.reshape(x, (-1, 4, 4)), (1, 4), [1, 2, 3, 4]),
        (layers.Flatten(), (16,), [1, 2, 3, 4] * 4),
        (layers.GlobalAveragePooling2D(), (4,), [1, 2, 3, 4]),
        (layers.GlobalMaxPooling2D(keepdims=True), (1, 1, 4), [1, 2, 3, 4]),
        (lambda x: ops.mean(x, axis=(1, -2)), (4,), [1, 2, 3, 4]),
        (lambda x: ops.max(x, 2, keepdims=True), (1, 1, 4), [1, 2, 3, 4]),
        (lambda x: ops.expand_dims(x, 1), (1, 1, 1, 4), [1, 2, 3, 4]),
        (lambda x: x[:, 0], (1, 4), [1, 2, 3, 4]),
        (lambda x: x[..., 1:], (1, 1, 3), [2, 3, 4]),
        (lambda x: x[..., -2:], (1, 1, 2), [3, 4]),
        (lambda x: x[:, None, :, :, 1:3], (1, 1, 1, 2), [2, 3]),
    ],
)
def test_units_go_where_the_channels_go(function, shape, expected):
    graph, node = moved(function)
    assert node.outputs[0].shape == shape
    assert node.outputs[0].ravel().tolist() == expected
    assert graph.prunable[1:-1].all()
    assert not rules.rule_for(node.layer).leaks(node)


@pytest.mark.parametrize(
    "function, reason",
    [
        (lambda x: ops.mean(x, axis=-1), "normalised across channels"),
        (lambda x: ops.sum(x, axis=(1, 3)), "normalised across channels"),
        (lambda x: x[..., ::2], "fixed by a shape"),
        (lambda x: x[..., 1], "fixed by a shape"),
        (
            lambda x: ops.reshape(x, (-1, 2, 4)),
            "no rule for a layer it meets",
        ),
        (
            lambda x: ops.reshape(x, (1, -1, 4)),
            "no rule for a layer it meets",
        ),
        (lambda x: ops.expand_dims(x, 0), "no rule for a layer it meets"),
    ],
)
def test_what_takes_channels_apart_freezes(function, reason):
    inputs = keras.Input((2, 2, 1))
    x = function(layers.Conv2D(4, 1, name="conv")(inputs))
    x = layers.Dense(1)(layers.Dense(2)(x))
    graph = tracing.trace(keras.Model(inputs, x))
    assert graph.explain()[1].reasons == {reason: 4}


def test_reshape_takes_the_new_lengths():
    _, node = moved(layers.Reshape((4, 4)))
    config = rules.rule_for(node.layer).config(node, lambda units: 3)
    assert config == {"target_shape": (4, 3)}
    _, node = moved(layers.Reshape((-1, 4)))
    config = rules.rule_for(node.layer).config(node, lambda units: 3)
    assert config == {"target_shape": (-1, 3)}


def test_padding_keeps_the_zeros_of_kept_places():
    widths = ((0, 0), (0, 0), (1, 1), (1, 2))
    graph, node = moved(lambda x: ops.pad(x, widths))
    assert node.outputs[0].ravel().tolist() == [-1, 1, 2, 3, 4, -1, -1]
    config = rules.rule_for(node.layer).config(node, len)
    assert config == {"pad_width": ((0, 0), (0, 0), (1, 1), (1, 2))}


def test_slice_is_counted_in_kept_channels():
    _, node = moved(lambda x: x[..., 1:3])
    kept = np.array([False, True, False, True])
    rule = rules.rule_for(node.layer)
    _, key = rule.arguments(node, node.args, lambda units: kept)
    assert key[-1] == slice(0, 1, None)


def test_unknown_size_that_mixes_with_channels_freezes():
    inputs = keras.Input((None, 2, 1))
    x = layers.Conv2D(4, 1, name="conv")(inputs)
    x = layers.Conv1D(2, 1)(layers.Reshape((-1, 2))(x))
    graph = tracing.trace(keras.Model(inputs, x))
    assert graph.explain()[1].reasons == {"fixed by a shape": 4}


def test_unknown_size_before_the_channels_is_not_the_same_after_a_reshape():
    inputs = keras.Input((None, 2, 1))
    x = layers.Permute((1, 3, 2))(layers.Conv2D(4, 1, name="conv")(inputs))
    x = layers.Reshape((-1, 4, 1))(x)  # From [?, 4, 2]: pairs of positions.
    x = layers.Dense(1)(layers.Permute((1, 3, 2))(x))
    graph = tracing.trace(keras.Model(inputs, x))
    assert graph.explain()[1].reasons == {"fixed by a shape": 4}
