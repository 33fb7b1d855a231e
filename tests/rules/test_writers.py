"""Tests for tfprune.rules.writers."""

import keras
import numpy as np
import pytest
from keras import layers

from tests import odd
from tests import zoo
from tfprune import compaction
from tfprune import costs
from tfprune import masking
from tfprune import rules
from tfprune import tracing

IMAGE = (5, 5, 4)


def node_of(layer, shape=IMAGE):
    """Returns the last node of a convolution followed by `layer`."""
    inputs = keras.Input(shape)
    rank = len(shape) - 1
    first = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}[rank]
    outputs = layer(first(4, 1)(inputs))
    return tracing.trace(keras.Model(inputs, outputs)).nodes[1]


def lengths(node):
    return {
        name: tuple(None if x is None else len(x) for x in axes)
        for name, axes in node.axes.items()
    }


@pytest.mark.parametrize(
    "layer, expected, shape",
    [
        (layers.Dense(3), (4, 3), IMAGE),
        (layers.Conv1D(3, 2), (None, 4, 3), (5, 2)),
        (layers.Conv2D(3, 2), (None, None, 4, 3), IMAGE),
        (layers.Conv2D(6, 2, groups=2), (None, None, 2, 6), IMAGE),
        (layers.Conv2D(8, 2, groups=4), (None, None, None, 8), IMAGE),
        (layers.Conv3D(3, 2), (None, None, None, 4, 3), (5, 5, 5, 1)),
        (layers.Conv1DTranspose(3, 2), (None, 3, 4), (5, 2)),
        (layers.Conv2DTranspose(3, 2), (None, None, 3, 4), IMAGE),
        (layers.DepthwiseConv1D(2), (None, 4, None), (5, 2)),
        (layers.DepthwiseConv2D(2, depth_multiplier=3),
         (None, None, 4, None), IMAGE),
    ],
)
def test_units_on_the_axes_of_the_kernel(layer, expected, shape):
    node = node_of(layer, shape)
    assert lengths(node)["kernel"] == expected
    for axis, length in enumerate(expected):
        assert length in (None, layer.kernel.shape[axis])
    assert lengths(node)["bias"] == (node.outputs[0].size,)


def test_axes_of_a_separable_convolution():
    layer = layers.SeparableConv2D(3, 2, depth_multiplier=2)
    assert lengths(node_of(layer)) == {
        "depthwise_kernel": (None, None, 4, None),
        "pointwise_kernel": (None, None, 8, 3),
        "bias": (3,),
    }


def test_pointwise_kernel_repeats_each_input_channel():
    node = node_of(layers.SeparableConv2D(3, 2, depth_multiplier=2))
    read = node.axes["pointwise_kernel"][2]
    np.testing.assert_array_equal(read, np.repeat(node.inputs[0].ravel(), 2))


@pytest.mark.parametrize(
    "layer, entries",
    [
        (layers.Dense(3), {"units": 2}),
        (layers.Conv2D(3, 2), {"filters": 2}),
        (layers.Conv2DTranspose(3, 2), {"filters": 2}),
        (layers.Conv2D(8, 2, groups=4), {"filters": 2, "groups": 2}),
        (layers.DepthwiseConv2D(2), {}),
    ],
)
def test_config_of_two_units(layer, entries):
    config = rules.rule_for(layer).config(node_of(layer), lambda units: 2)
    assert config == entries


@pytest.mark.parametrize(
    "layer, positions",
    [
        (layers.Dense(3), 25),
        (layers.Conv2D(3, 2), 16),
        (layers.Conv2D(3, 3, strides=2, padding="same"), 9),
        (layers.Conv2DTranspose(3, 2, strides=2), 25),
        (layers.DepthwiseConv2D(4), 4),
    ],
)
def test_positions(layer, positions):
    assert rules.rule_for(layer).positions(node_of(layer)) == positions


@pytest.mark.parametrize(
    "layer, transpose",
    [
        (layers.Conv2D(3, 2), (0, 1, 2, 3)),
        (layers.Conv2DTranspose(3, 2), (0, 1, 3, 2)),
        (layers.DepthwiseConv2D(2, depth_multiplier=3), (0, 1, 2, 3)),
    ],
)
def test_filters_write_one_channel_each(layer, transpose):
    node = node_of(layer)
    filters = rules.rule_for(layer).filters(layer, layer.kernel)
    assert filters.shape[-1] == node.outputs[0].size
    kernel = np.transpose(layer.kernel, transpose)
    channels = filters.shape[-1]
    np.testing.assert_array_equal(filters, kernel.reshape(-1, channels))


def test_output_of_a_softmax_layer_is_normalised():
    inputs = keras.Input((4,))
    x = layers.Dense(3, activation="softmax", name="soft")(inputs)
    graph = tracing.trace(keras.Model(inputs, layers.Dense(2)(x)))
    row = graph.explain()[1]
    assert row.reasons == {"normalised across channels": 3}


def test_only_first_of_the_groups_is_named_on_the_kernel():
    graph = tracing.trace(zoo.grouped())
    node = next(
        n for n in graph.nodes if getattr(n.layer, "groups", 1) == 4
    )
    read = node.axes["kernel"][2]
    np.testing.assert_array_equal(node.inputs[0].ravel(), np.tile(read, 4))


def test_width_of_an_embedding():
    inputs = keras.Input((7,), dtype="int32")
    embedding = layers.Embedding(5, 6, mask_zero=True, name="words")
    x = layers.GlobalAveragePooling1D()(embedding(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    graph = tracing.trace(model)
    units = graph.layer_units("words")
    assert graph.prunable[units].all()
    keep = np.ones(graph.num_units, bool)
    keep[units[[0, 2, 5]]] = False
    small = compaction.compact(model, graph, keep)
    assert small.get_layer("words").output_dim == 3
    np.testing.assert_array_equal(
        small.get_layer("words").embeddings,
        embedding.embeddings.numpy()[:, [1, 3, 4]],
    )
    assert costs.cost(model).macs == 6 * 2


def test_padding_is_masked_behind_a_masked_embedding():
    model = odd.built("recurrent_words")
    masked = masking.mask_model(model)
    words = np.array([[1, 2, 3, 0, 0, 0, 0], [4, 1, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(masked(words), model(words), rtol=1e-5)
    embedded = masked.layers[1](words)
    np.testing.assert_array_equal(embedded._keras_mask, words != 0)
