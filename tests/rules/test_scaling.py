"""Tests for tfprune.rules.scaling."""

import keras
import numpy as np
import pytest
from keras import layers

from tests import odd
from tests import versions
from tests import zoo
from tfprune import compaction
from tfprune import program
from tfprune import tracing


def second_node(layer):
    """Returns the graph and the node of a layer after a convolution."""
    graph = tracing.trace(scaled(layer))
    return graph, graph.nodes[1]


def scaled(layer):
    inputs = keras.Input((4, 4, 2))
    x = layer(layers.Conv2D(3, 1)(inputs))
    return keras.Model(inputs, zoo.head(layers.Conv2D(3, 1)(x)))


def adapted(axis):
    layer = layers.Normalization(axis)
    layer.adapt(np.random.default_rng(0).normal(2, 3, (16, 4, 4, 3)))
    return layer


def compacted(layer):
    """Returns the layer of a name without its second channel of three."""
    model = scaled(layer)
    graph = tracing.trace(model)
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units(layer.name)[1]] = False
    small = compaction.compact(model, graph, keep)
    return program.layers_by_path(small)[layer.name]


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
    "scale, offset, scales, offsets",
    [
        (2.0, 1.0, 2.0, 1.0),
        ([1.0, 2.0, 3.0], 0.0, [1.0, 3.0], 0.0),
        (2.0, np.array([4.0, 5.0, 6.0], "float32"), 2.0, [4.0, 6.0]),
        ([2.0], (4.0, 5.0, 6.0), [2.0], [4.0, 6.0]),
    ],
)
def test_rescaling_loses_the_numbers_of_its_channels(
    scale, offset, scales, offsets
):
    layer = compacted(layers.Rescaling(scale, offset))
    np.testing.assert_array_equal(layer.scale, scales)
    np.testing.assert_array_equal(layer.offset, offsets)


def test_normalization_loses_the_statistics_of_its_channels():
    whole = adapted(-1)
    layer = compacted(whole)
    np.testing.assert_array_equal(
        layer.adapt_mean, whole.adapt_mean.numpy()[[0, 2]]
    )
    layer = compacted(
        layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])
    )
    assert layer.input_mean == [1.0, 3.0]
    assert layer.input_variance == [4.0, 6.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Normalization(mean=1.0, variance=4.0),
        lambda: layers.Normalization(axis=None, mean=1.0, variance=4.0),
        lambda: adapted(None),
    ],
)
def test_normalization_by_one_mean_for_all_channels(make):
    whole = make()
    mean = np.ravel(compacted(whole).mean)
    np.testing.assert_array_equal(mean[0], np.ravel(whole.mean)[0])


def test_layer_scale_loses_the_factors_of_its_channels():
    kind = odd.private(keras.applications.ConvNeXtTiny, "LayerScale")
    layer = compacted(kind(0.5, 3))
    assert layer.projection_dim == 2
    assert layer.gamma.shape == (2,)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Rescaling(np.ones((4, 3))),
        lambda: layers.Rescaling(1.0, np.ones((4, 4, 1))),
        lambda: adapted((1, 3)),
        pytest.param(
            lambda: layers.Normalization(1, [1.0] * 4, [1.0] * 4),
            marks=versions.needs_keras("3.14"),
        ),
    ],
)
def test_numbers_of_other_axes_freeze(make):
    graph, node = second_node(make())
    assert {graph.reasons[unit] for unit in node.outputs[0].ravel()} == {
        "fixed by a shape"
    }


@pytest.mark.parametrize(
    "groups, width, left", [(3, 2, 1), (2, 3, 1), (-1, 1, 3), (6, 1, 3)]
)
def test_whole_groups_leave_group_normalisation(groups, width, left):
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(6, 1, name="conv")(inputs)
    norm = layers.GroupNormalization(groups, name="norm")
    model = keras.Model(inputs, zoo.head(norm(x)))
    norm.gamma.assign(np.arange(6.0))
    graph = tracing.trace(model)
    units = graph.layer_units("conv")
    np.testing.assert_array_equal(units, np.repeat(units[::width], width))
    assert graph.prunable[units].all()
    keep = np.ones(graph.num_units, bool)
    keep[units[left * width :]] = False
    small = compaction.compact(model, graph, keep).get_layer("norm")
    assert small.groups == left
    np.testing.assert_array_equal(small.gamma, np.arange(left * width))


def test_one_group_is_normalised_across_channels():
    graph, node = second_node(layers.GroupNormalization(1))
    assert {graph.reasons[unit] for unit in node.outputs[0].ravel()} == {
        "normalised across channels"
    }
