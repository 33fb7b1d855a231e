"""Tests for tfprune.rules.moving."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from tests import odd
from tests import versions
from tfprune import rules
from tfprune import tracing


def moved(function, filters=4, side=4):
    """Returns the graph of a function of a convolution, and its node."""
    inputs = keras.Input((side, side, 1))
    x = function(layers.Conv2D(filters, 1)(inputs))
    x = [layers.Dense(1)(layers.Flatten()(y)) for y in keras.tree.flatten(x)]
    graph = tracing.trace(keras.Model(inputs, x))
    return graph, graph.nodes[1]


@pytest.mark.parametrize(
    "function, shape, expected",
    [
        (layers.Permute((3, 1, 2)), (4, 1, 1), [1, 2, 3, 4]),
        (lambda x: ops.transpose(x, (0, 3, 2, 1)), (4, 1, 1), [1, 2, 3, 4]),
        (lambda x: ops.transpose(x, (-4, -1, 2, 1)), (4, 1, 1), [1, 2, 3, 4]),
        (lambda x: ops.moveaxis(x, -1, 1), (4, 1, 1), [1, 2, 3, 4]),
        (lambda x: ops.swapaxes(x, 2, -1), (1, 4, 1), [1, 2, 3, 4]),
        (lambda x: ops.rot90(x, axes=(1, 2)), (1, 1, 4), [1, 2, 3, 4]),
        (lambda x: ops.rot90(x, axes=(3, 1)), (4, 1, 1), [1, 2, 3, 4]),
        (lambda x: ops.flip(x, axis=2), (1, 1, 4), [1, 2, 3, 4]),
        (lambda x: ops.flip(x, axis=-1), (1, 1, 4), [4, 3, 2, 1]),
        (lambda x: ops.roll(x, (2, 1), axis=(1, 2)), (1, 1, 4), [1, 2, 3, 4]),
        (lambda x: ops.tile(x, (1, 2, 1, 1)), (1, 1, 4), [1, 2, 3, 4]),
        (lambda x: ops.tile(x, 2), (1, 1, 8), [1, 2, 3, 4] * 2),
        (lambda x: ops.repeat(x, 2, axis=1), (1, 1, 4), [1, 2, 3, 4]),
        (
            lambda x: ops.repeat(x, [2], axis=3),
            (1, 1, 8),
            [1, 1, 2, 2, 3, 3, 4, 4],
        ),
        (lambda x: ops.stack([x, x], axis=1), (1, 1, 1, 4), [1, 2, 3, 4]),
        (lambda x: ops.glu(x), (1, 1, 2), [1, 2]),
        (lambda x: ops.glu(x, axis=1), (1, 1, 4), [1, 2, 3, 4]),
        (lambda x: ops.split(x, 2, axis=1), (1, 1, 4), [1, 2, 3, 4]),
        pytest.param(
            lambda x: ops.array_split(x, 3, axis=2),
            (1, 1, 4),
            [1, 2, 3, 4],
            marks=versions.needs_keras("3.14"),
        ),
        (lambda x: ops.unstack(x, axis=1), (1, 4), [1, 2, 3, 4]),
        pytest.param(
            lambda x: ops.space_to_depth(x, 2),
            (1, 1, 16),
            [1, 2, 3, 4] * 4,
            marks=versions.needs_keras("3.14"),
        ),
    ],
)
def test_units_go_where_the_elements_go(function, shape, expected):
    graph, node = moved(function)
    for units in node.outputs:
        assert units.shape == shape
        assert units.ravel().tolist() == expected
    assert graph.prunable[np.unique(expected)].all()
    assert not rules.rule_for(node.layer).leaks(node)


@versions.needs_keras("3.14")
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_depth_to_space_ties_the_channels_of_a_block(data_format):
    graph, node = moved(
        lambda x: ops.depth_to_space(
            layers.Permute((3, 1, 2))(x) if "first" in data_format else x,
            2,
            data_format,
        ),
        filters=8,
    )
    assert graph.layer_units(graph.nodes[0].path).tolist() == [1, 2] * 4
    assert graph.nodes[-3].outputs[0].ravel().tolist() == [1, 2]
    assert graph.prunable[1:3].all()


def test_split_parts_the_channels_and_is_counted_in_kept_ones():
    _, node = moved(lambda x: ops.split(x, (1, 4), axis=-1), filters=6)
    parts = [units.ravel().tolist() for units in node.outputs]
    assert parts == [[1], [2, 3, 4], [5, 6]]
    config = rules.rule_for(node.layer).config(
        node, lambda units: int(np.isin(units, [1, 3, 4, 6]).sum())
    )
    assert config == {"indices_or_sections": [1, 3]}


def test_one_channel_of_a_split_stays():
    graph, _ = moved(lambda x: ops.split(x, (1,), axis=-1))
    assert graph.reasons[1:5] == ["fixed by a shape", None, None, None]


def test_repeat_vector():
    inputs = keras.Input((2,))
    x = layers.RepeatVector(3)(layers.Dense(4)(inputs))
    graph = tracing.trace(keras.Model(inputs, layers.Dense(1)(x)))
    assert graph.nodes[1].outputs[0].shape == (1, 4)
    assert graph.prunable[graph.layer_units(graph.nodes[0].path)].all()


def test_broadcast_positions():
    graph = tracing.trace(odd.MODELS["broadcast_positions"]())
    assert [row.prunable for row in graph.explain()][1:8] == [6] * 5 + [5] * 2


@pytest.mark.parametrize(
    "function, reason",
    [
        (lambda x: ops.roll(x, 1, axis=-1), "fixed by a shape"),
        (lambda x: ops.unstack(x, axis=-1), "fixed by a shape"),
        pytest.param(
            lambda x: ops.array_split(x, 3, axis=-1),
            "fixed by a shape",
            marks=versions.needs_keras("3.14"),
        ),
        (
            lambda x: ops.repeat(x, [1, 2, 3, 4], axis=-1),
            "no rule for a layer it meets",
        ),
        (lambda x: ops.repeat(x, 2), "no rule for a layer it meets"),
        (lambda x: ops.flip(x), "no rule for a layer it meets"),
        (lambda x: ops.roll(x, 1), "no rule for a layer it meets"),
        (lambda x: ops.rot90(x), "no rule for a layer it meets"),
        (lambda x: ops.swapaxes(x, 0, 1), "no rule for a layer it meets"),
        (
            lambda x: ops.tile(x, (2, 1, 1, 1)),
            "no rule for a layer it meets",
        ),
        (lambda x: ops.stack([x, x]), "no rule for a layer it meets"),
        (
            lambda x: ops.transpose(x, (1, 0, 2, 3)),
            "no rule for a layer it meets",
        ),
        (
            layers.Lambda(odd.blocks, output_shape=(8, 8, 1)),
            "no rule for a layer it meets",
        ),
    ],
)
def test_what_needs_all_channels_freezes(function, reason):
    inputs = keras.Input((4, 4, 1))
    x = function(layers.Conv2D(4, 1, name="conv")(inputs))
    outputs = [
        x if None in x.shape[1:] else layers.Dense(2)(layers.Flatten()(x))
        for x in keras.tree.flatten(x)
    ]
    graph = tracing.trace(keras.Model(inputs, outputs))
    assert graph.explain()[1].reasons == {reason: 4}


@pytest.mark.parametrize(
    "name, expected",
    [
        ("split_and_shuffle", [8, 4, 4, 4, 4, 5]),
        ("gated_linear_units", [12, 10, 8, 6, 4, 4, 4, 4]),
    ],
)
def test_convolutions_that_can_be_pruned(name, expected):
    graph = tracing.trace(odd.MODELS[name]())
    rows = [row for row in graph.explain() if row.type == "Conv2D"]
    assert [row.prunable for row in rows] == expected
