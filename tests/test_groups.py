"""Tests for tfprune.groups."""

import keras
from keras import layers
import numpy as np
import pytest

from tests import zoo
from tfprune import graph as graph_lib
from tfprune import groups as groups_lib
from tfprune import tracing


def test_units_of_a_slice_are_a_group_of_their_own():
    inputs = keras.Input((3,))
    x = layers.Dense(6, name="six")(inputs)
    y = layers.Dense(4, name="four")(x[:, :2])
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([x, y])))
    graph = tracing.trace(model)
    of_unit = groups_lib.Groups(graph).of_unit
    six, four = (of_unit[graph.layer_units(name)] for name in ("six", "four"))
    assert six[0] == six[1] and len(set(six[2:])) == len(set(four)) == 1
    assert len({six[0], six[2], four[0]}) == 3


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_lengths_follow_from_widths(name):
    graph = tracing.trace(zoo.NETWORKS[name]())
    groups = groups_lib.Groups(graph)
    np.testing.assert_array_equal(
        groups.prunable[groups.of_unit], graph.prunable
    )
    for seed in range(3):
        keep = zoo.random_keep(graph, seed)
        widths = groups.widths(keep)
        assert widths.sum() == keep.sum() + 1
        for node in graph.nodes:
            axes = [x for each in node.axes.values() for x in each]
            for units in (*node.inputs, *node.outputs, *axes):
                if units is not None:
                    left = graph_lib.stays(keep, units).sum()
                    assert groups.times(units) @ widths == left
