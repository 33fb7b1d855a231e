"""Tests for tfprune.rules.einsum."""

import keras
import numpy as np
import pytest
from keras import layers

from tests import odd
from tfprune import rules
from tfprune import tracing


def node_of(layer):
    """Returns the node of a layer after a dense one of [6, 4]."""
    inputs = keras.Input((6, 3))
    x = layer(layers.Dense(4)(inputs))
    x = layers.Dense(2)(layers.Flatten()(x))
    return tracing.trace(keras.Model(inputs, x)).nodes[1]


@pytest.mark.parametrize(
    "equation, shape, kernel, bias",
    [
        ("abc,cd->abd", (6, 5), (4, 5), (5,)),
        ("...c,cd->...d", 5, (4, 5), (5,)),
        ("abc,dc->abd", (6, 5), (5, 4), (5,)),
        ("abc,cde->abde", (6, 5, 2), (4, 5, None), (5, None)),
        ("abc,bd->adc", (5, 4), (4, 5), (5, None)),
        ("abc,bcd->ad", (5,), (None, 4, 5), (5,)),
    ],
)
def test_units_on_the_axes(equation, shape, kernel, bias):
    made = "de" if "e" in equation else "d"
    layer = layers.EinsumDense(equation, shape, bias_axes=made)
    node = node_of(layer)
    lengths = {
        name: tuple(None if x is None else len(x) for x in axes)
        for name, axes in node.axes.items()
    }
    expected = {"kernel": kernel, "bias": bias}
    if equation == "abc,bd->adc":  # Over positions: all channels are one.
        expected["kernel"] = (6, 5)
    assert lengths == expected


def test_filters_write_one_channel_each():
    layer = layers.EinsumDense("abc,cde->abde", (6, 5, 2))
    node_of(layer)
    filters = rules.rule_for(layer).filters(layer, layer.kernel)
    expected = np.transpose(layer.kernel, (0, 2, 1)).reshape(8, 5)
    np.testing.assert_array_equal(filters, expected)


@pytest.mark.parametrize(
    "equation, shape, shape_of_two",
    [
        ("abc,cd->abd", (6, 5), (6, 2)),
        ("...c,cd->...d", 5, (2,)),
        ("abc,cde->abde", (6, 5, 3), (6, 2, 3)),
    ],
)
def test_config_of_two_units(equation, shape, shape_of_two):
    layer = layers.EinsumDense(equation, shape)
    config = rules.rule_for(layer).config(node_of(layer), lambda units: 2)
    assert config == {"output_shape": shape_of_two}


@pytest.mark.parametrize(
    "equation, shape",
    [("abc,bcd->abd", (6, 5)), ("abc,cd->bad", (6, 5)), ("abc,c->abc", (6, 4))],
)
def test_kernels_of_other_kinds_have_no_rule(equation, shape):
    layer = layers.EinsumDense(equation, shape)
    assert type(rules.rule_for(layer)) is rules.Rule


def test_what_can_be_pruned():
    rows = tracing.explain(odd.MODELS["equations"]())
    left = [row.prunable for row in rows if row.type == "EinsumDense"]
    assert left[:4] == [6, 5, 4, 0]
