"""Tests for tfprune.graph."""

import keras
from keras import layers
import numpy as np
import pytest

from tests import zoo
from tfprune import tracing


def chain(*widths):
    """Returns the graph of convolutions "a", "b" of an image."""
    x = inputs = keras.Input((4, 4, 2))
    for name, filters in zip("ab", widths):
        x = layers.Conv2D(filters, 3, padding="same", name=name)(x)
    return tracing.trace(keras.Model(inputs, zoo.head(x)))


def test_unknown_layer_name():
    graph = tracing.trace(zoo.plain())
    with pytest.raises(ValueError, match="one of .*'conv2d.*Received: 'abs"):
        graph.layer_units("absent")


@pytest.mark.parametrize(
    "keep", [np.ones(3, bool), np.ones(16, int), [1.0] * 16]
)
def test_mask_of_wrong_shape_or_type(keep):
    graph = chain(11)
    assert graph.num_units == 16
    with pytest.raises(ValueError, match=r"bool of shape \[16\]. Received: "):
        graph.check(keep)


def test_mask_that_removes_a_frozen_unit():
    graph = chain(2)
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("a")[0]] = False
    assert graph.check(keep) is keep
    keep[-1] = False
    with pytest.raises(ValueError, match="1 of them, .*'dense.*model output"):
        graph.check(keep)


def test_mask_that_empties_a_layer():
    graph = chain(2, 2)
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("a")] = False
    with pytest.raises(ValueError, match="leave a channel.* layer 'a'"):
        graph.check(keep)


def test_slice_of_no_channel():
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="hidden")(inputs)
    x = keras.ops.concatenate([x, x[:, 6:6]], axis=-1)
    graph = tracing.trace(keras.Model(inputs, layers.Dense(2)(x)))
    assert graph.prunable[graph.layer_units("hidden")].all()


def test_widths_before_and_after():
    graph = chain(3, 2)
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("a")[:2]] = False
    a, b, dense = graph.widths(keep)
    assert a == {
        "name": "a",
        "channels_before": 3,
        "channels_after": 1,
        "prunable": 3,
        "reason": "",
    }
    assert b["channels_after"] == 2
    assert dense["reason"] == "model output" and dense["prunable"] == 0
