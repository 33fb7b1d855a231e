"""Tests for tfprune.gates."""

import keras
from keras import layers
import numpy as np

from tests import zoo
from tfprune import gates
from tfprune import tracing


def conv(x, filters, name):
    return layers.Conv2D(filters, 3, padding="same", name=name)(x)


def image():
    return keras.Input((4, 4, 2))


def traced(inputs, outputs, **kwargs):
    return tracing.trace(keras.Model(inputs, outputs), **kwargs)


def gate_paths(graph):
    return {
        path: [node.path for node in gate.chain]
        for path, gate in graph.gates.items()
    }


def test_one_gate_for_a_chain_where_it_ends():
    x = image()
    y = layers.BatchNormalization(name="bn")(conv(x, 3, "conv"))
    graph = traced(x, zoo.head(layers.ReLU(name="relu")(y)))
    assert gate_paths(graph) == {"bn": ["conv", "bn"]}


def test_gate_moves_to_the_last_layer_that_leaks():
    x = image()
    y = layers.Activation("sigmoid", name="sigmoid")(conv(x, 3, "conv"))
    graph = traced(x, zoo.head(layers.MaxPooling2D(name="pool")(y)))
    assert gate_paths(graph) == {"sigmoid": ["conv", "sigmoid"]}


def test_branch_ends_a_chain():
    x = image()
    y = conv(x, 3, "conv")
    z = layers.BatchNormalization(name="bn")(y)
    graph = traced(x, zoo.head(layers.Add()([y, z])))
    assert gate_paths(graph) == {"conv": ["conv"], "bn": ["bn"]}


def test_operation_that_leaks_has_a_gate():
    x = image()
    graph = traced(x, zoo.head(conv(x, 3, "conv") + 1.0))
    add = graph.nodes[1].path
    assert gate_paths(graph) == {"conv": ["conv"], f"{add}_mask": [add]}


def test_frozen_layers_have_no_gate():
    x = image()
    graph = traced(x, zoo.head(conv(conv(x, 2, "a"), 3, "b")), frozen=["a"])
    assert list(graph.gates) == ["b"]


def test_padded_zeros_beside_frozen_channels_need_no_gate():
    x = image()
    y = layers.ZeroPadding2D()(conv(x, 3, "a"))
    y = keras.ops.pad(y, ((0, 0), (0, 0), (0, 0), (0, 1)))
    y = layers.BatchNormalization(name="bn")(y)
    graph = traced(x, zoo.head(conv(y, 2, "b")), frozen=["a"])
    assert list(graph.gates) == ["b"]


def test_layer_of_several_tensors_is_followed_by_its_mask():
    x = image()
    shared = layers.Dense(3, activation="sigmoid", name="dense")
    y = shared(conv(x, 2, "a"))
    graph = traced(x, zoo.head(y + 1.0))
    assert [gate.wraps for gate in graph.gates.values()] == [True, True, False]
    graph = traced(x, zoo.head(shared(inputs=conv(x, 2, "c")) * 2.0))
    assert not graph.gates["dense_mask"].wraps


def test_units_are_told_by_the_places_of_their_masks():
    units = {
        "a": np.array([[0, 1, 2]]),
        "b": np.array([[2, 1, -1, -1]]),
        "c": np.array([3]),
    }
    found = gates.by_places(units, np.array([True, True, True, False]))
    assert {key: group.tolist() for key, group in found.items()} == {
        ("a",): [0],
        ("a", "b"): [1, 2],
    }
