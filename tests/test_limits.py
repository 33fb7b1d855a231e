"""Tests for tfprune.limits."""

import keras
import numpy as np
import pytest
from keras import layers

from tests import zoo
from tfprune import limits
from tfprune import tracing


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_thinned_takes_of_every_layer_that_can_lose_a_unit(name):
    graph = tracing.trace(zoo.network(name))
    keep = graph.check(limits.thinned(graph))
    assert not keep.all()
    outputs = [x[x >= 0] for node in graph.nodes for x in node.outputs]
    for units in outputs:
        if keep[units].all():
            for unit in units[graph.prunable[units]]:  # is the last of some
                assert any(
                    np.unique(x[keep[x]]).tolist() == [unit] for x in outputs
                )


def test_thinned_leaves_a_slice_that_would_be_empty():
    inputs = keras.Input((4,))
    a, b = (layers.Dense(2, name=name)(inputs) for name in "ab")
    x = layers.Concatenate()([a, b])[:, 1:3]
    model = keras.Model(inputs, layers.Dense(3)(layers.Dense(2)(x)))
    graph = tracing.trace(model)
    keep = graph.check(limits.thinned(graph))
    for name in "ab":
        assert keep[graph.layer_units(name)].sum() == 1
