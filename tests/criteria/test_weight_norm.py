"""Tests for tfprune.criteria.weight_norm."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfprune import masking
from tfprune import rules
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import weight_norm
from tfprune.rules import base as rules_base


def score(model, *criteria):
    """Returns the graph of a model and the scores by each criterion."""
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    inputs = tuple(tf.ones((1, *x.shape[1:])) for x in model.inputs)
    inputs = inputs if len(inputs) > 1 else inputs[0]
    data = tf.data.Dataset.from_tensors((inputs, tf.ones((1, 1))))
    found = scoring.score(
        masked, graph, dict(enumerate(criteria)), data, squared_error
    )
    return graph, *found.values()


def squared_error(labels, outputs):
    return tf.reduce_sum((labels - outputs) ** 2, axis=-1)


def head(x):
    return layers.Dense(1)(layers.GlobalAveragePooling2D()(x))


def conv(filters, name):
    """Returns a convolution of one input channel, whose filters are numbers."""
    kernel = tf.constant(filters, tf.float32)[None, None, None]
    layer = layers.Conv2D(len(filters), 1, use_bias=False, name=name)
    layer.build((None, 4, 4, 1))
    layer.kernel.assign(kernel)
    return layer


@pytest.mark.parametrize(
    "p, expected",
    [
        (1, [3.0, 1.0, 3.0]),
        (2, np.sqrt([5.0, 0.5, 9.0])),
        (0.5, [(1 + np.sqrt(2)) ** 2, 2.0, 3.0]),
    ],
)
def test_norms_by_hand(p, expected):
    inputs = keras.Input((2,))
    hidden = layers.Dense(3, name="hidden")
    model = keras.Model(inputs, layers.Dense(1)(hidden(inputs)))
    hidden.kernel.assign([[1.0, 0.5, 0.0], [-2.0, 0.5, 3.0]])
    graph, found = score(model, weight_norm.WeightNorm(p))
    np.testing.assert_allclose(
        found[graph.layer_units("hidden")], expected, rtol=1e-6
    )


def test_all_kernels_that_write_a_unit_count():
    inputs = keras.Input((2,))
    a = layers.Dense(2, use_bias=False, name="a")
    b = layers.Dense(2, use_bias=False, name="b")
    x = layers.Add()([a(inputs), b(inputs)])
    model = keras.Model(inputs, layers.Dense(1)(x))
    a.kernel.assign([[3.0, 0.0], [0.0, 1.0]])
    b.kernel.assign([[0.0, 0.0], [4.0, -1.0]])
    norms = weight_norm.WeightNorm(1), weight_norm.WeightNorm(2)
    graph, one, two = score(model, *norms)
    units = graph.layer_units("a")
    np.testing.assert_allclose(one[units], [7.0, 2.0])
    np.testing.assert_allclose(two[units], [5.0, np.sqrt(2.0)])


def test_kernel_of_a_layer_called_twice_counts_once():
    a, b = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    shared = conv([2.0, -3.0], "shared")
    x = layers.Add()([shared(a), layers.ReLU()(shared(b))])
    graph, found = score(keras.Model([a, b], head(x)), weight_norm.WeightNorm())
    np.testing.assert_allclose(found[graph.layer_units("shared")], [2.0, 3.0])


def test_kernel_before_different_normalisations_counts_once():
    inputs = keras.Input((4, 4, 1))
    shared = conv([2.0, -3.0], "shared")
    x, y = (
        layers.BatchNormalization()(shared(x))
        for x in (inputs, layers.ReLU()(inputs))
    )
    model = keras.Model(inputs, head(layers.Concatenate()([x, y])))
    graph, found = score(model, weight_norm.WeightNorm())
    np.testing.assert_allclose(found[graph.layer_units("shared")], [2.0, 3.0])


def test_all_kernels_before_a_shared_normalisation_count():
    inputs = keras.Input((4, 4, 1))
    first, second = conv([2.0, -3.0], "first"), conv([5.0, 7.0], "second")
    norm = layers.BatchNormalization()
    x = layers.Concatenate()([norm(first(inputs)), norm(second(inputs))])
    graph, found = score(keras.Model(inputs, head(x)), weight_norm.WeightNorm())
    units = graph.layer_units("first")
    np.testing.assert_array_equal(units, graph.layer_units("second"))
    np.testing.assert_allclose(found[units], [7.0, 10.0])


def test_filters_of_a_depthwise_convolution_count():
    inputs = keras.Input((4, 4, 1))
    depthwise = layers.DepthwiseConv2D(1, use_bias=False)
    x = depthwise(conv([2.0, -3.0], "first")(inputs))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    model = keras.Model(inputs, head(x))
    depthwise.kernel.assign(tf.reshape([10.0, 20.0], (1, 1, 2, 1)))
    graph, found = score(model, weight_norm.WeightNorm())
    np.testing.assert_allclose(found[graph.layer_units("first")], [12.0, 23.0])


def test_kernel_of_a_layer_and_rule_of_the_user_counts(monkeypatch):
    class Mix(layers.Layer):
        def build(self, shape):
            self.mix = self.add_weight(shape=(shape[-1], 3), name="mix")

        def call(self, x):
            return x @ self.mix

    class MixRule(rules.Rule):
        kernels = ("mix",)

        def outputs(self, node):
            return [node.along(node.new(3))]

        def axes(self, node):
            return {"mix": (node.channels(), node.outputs[0].ravel())}

    monkeypatch.setattr(rules_base, "_RULES", dict(rules_base._RULES))
    rules.register_rule(Mix, MixRule())
    inputs = keras.Input((2,))
    hidden = Mix(name="hidden")
    model = keras.Model(inputs, layers.Dense(1)(hidden(inputs)))
    hidden.mix.assign([[1.0, 0.5, 0.0], [-2.0, 0.5, 3.0]])
    graph, found = score(model, weight_norm.WeightNorm())
    np.testing.assert_allclose(
        found[graph.layer_units("hidden")], [3.0, 1.0, 3.0]
    )


@pytest.mark.parametrize("p", [0, -1, float("inf"), float("nan"), "1"])
def test_order_must_be_positive(p):
    message = f"must be a positive, finite number. Received: p={p!r}"
    with pytest.raises(ValueError, match=message):
        weight_norm.WeightNorm(p)


def test_norm_of_a_head_is_that_of_its_value_kernel():
    inputs = keras.Input((4, 3))
    attention = layers.MultiHeadAttention(3, 2, name="attention")
    x = layers.Dense(1)(layers.Dense(2)(attention(inputs, inputs)))
    model = keras.Model(inputs, layers.Flatten()(x))
    graph, found = score(model, weight_norm.WeightNorm(1))
    heads = graph.layer_units("attention/value_dense")
    expected = np.abs(attention.value_dense.kernel).sum(axis=(0, 2))
    np.testing.assert_allclose(found[heads], expected, rtol=1e-6)
    written = graph.layer_units("attention")
    expected = np.abs(attention.output_dense.kernel).sum(axis=(0, 1))
    np.testing.assert_allclose(found[written], expected, rtol=1e-6)
