"""Tests for tfprune.ablation."""

import keras
from keras import layers
import numpy as np
import tensorflow as tf

from tests import zoo
from tfprune import ablation
from tfprune import linear
from tfprune import masking
from tfprune import program
from tfprune import tracing
from tfprune import whole as whole_lib


def prepared(model, inputs, keep=None):
    """Returns the graph, the masked model and a `Whole` of it."""
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    if keep is not None:
        masking.set_mask(masked, graph, keep)
    gates = {path: gate.units for path, gate in graph.gates.items()}
    code = program.program(masked)
    return graph, masked, whole_lib.Whole(code, graph, inputs, gates)


def paths_of(graph, unit):
    return tuple(p for p, gate in graph.gates.items() if unit in gate.units)


def total(labels, outputs):
    return tf.reduce_sum(tf.cast(outputs, tf.float32), axis=-1) - labels


def test_losses_by_hand():
    inputs = keras.Input((1,))
    first = layers.Dense(3, use_bias=False)
    last = layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, last(first(inputs)))
    first.kernel.assign([[1.0, 2.0, 3.0]])
    last.kernel.assign([[10.0], [20.0], [30.0]])
    x = tf.constant([[1.0], [2.0]])  # outputs 140 and 280
    graph, _, whole = prepared(model, [x])
    units = graph.layer_units(first.name).astype("int32")
    paths = paths_of(graph, units[0])
    labels = tf.constant([0.0, 80.0])
    np.testing.assert_allclose(whole.losses(total, labels), [140, 200])
    runs = ablation.Runs(whole, paths, units, tf.constant([2, 0]))
    np.testing.assert_allclose(
        runs.losses(total, labels), [[50, 20], [130, 180]]
    )


def products(monkeypatch):
    """Returns a list that fills with the widths of what is multiplied."""
    widths, product = [], linear.Linear.product
    part = linear.Linear.part

    def counted(self, x):
        widths.append(int(self.kernel.shape[-2]))
        return product(self, x)

    def counted_part(self, x, channels):
        widths.append(int(channels.shape[0]))
        return part(self, x, channels)

    monkeypatch.setattr(linear.Linear, "product", counted)
    monkeypatch.setattr(linear.Linear, "part", counted_part)
    return widths


def test_what_reads_a_unit_multiplies_its_channels_alone(monkeypatch):
    inputs = keras.Input((6, 6, 3))
    x = zoo.conv(inputs, 8)
    y = layers.ZeroPadding2D()(zoo.conv_bn(x, 5))  # 5 units, of this gate
    y = layers.Add()([layers.Conv2D(8, 3)(y), x])
    y = layers.GlobalAveragePooling2D()(y)  # linear, as what comes before
    y = layers.Dense(7)(y)
    model = keras.Model(inputs, layers.Dense(2)(layers.ReLU()(y)))
    images = tf.random.stateless_normal((2, 6, 6, 3), (0, 1))
    graph, _, whole = prepared(model, [images])
    conv = model.layers[2]
    units = graph.layer_units(conv.name).astype("int32")
    widths = products(monkeypatch)
    tf.function(
        lambda: ablation.Runs(
            whole, paths_of(graph, units[0]), units, tf.range(5)
        ).losses(total, 0.0)
    )()
    assert widths == [1, 8, 7]


def test_flattened_channel_is_subtracted_at_all_places(monkeypatch):
    inputs = keras.Input((3, 3, 2))
    x = layers.Flatten()(zoo.conv_bn(inputs, 4))
    model = keras.Model(inputs, layers.Dense(2)(x))
    images = tf.random.stateless_normal((2, 3, 3, 2), (0, 1))
    graph, masked, whole = prepared(model, [images])
    units = np.flatnonzero(graph.prunable).astype("int32")
    widths = products(monkeypatch)
    runs = ablation.Runs(whole, paths_of(graph, units[0]), units, tf.range(4))
    assert set(widths) == {9}
    for unit, losses in zip(units, runs.losses(total, 0.0)):
        keep = np.ones(graph.num_units, bool)
        keep[unit] = False
        masking.set_mask(masked, graph, keep)
        np.testing.assert_allclose(
            losses, total(0.0, masked(images)), rtol=1e-4, atol=1e-5
        )
