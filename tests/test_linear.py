"""Tests for tfprune.linear."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import zoo
from tfprune import linear
from tfprune import masking
from tfprune import program
from tfprune import tracing
from tfprune import verification


def dense(kernel, bias=None, **kwargs):
    """Returns a `Linear` of a dense layer with these weights."""
    layer = layers.Dense(len(kernel[0]), use_bias=bias is not None, **kwargs)
    layer.build((None, len(kernel)))
    layer.set_weights([np.array(x) for x in (kernel, bias) if x is not None])
    return linear.Linear(layer)


def calls_of(model):
    return linear.calls(program.program(model))


def kinds(model):
    return [type(call.layer).__name__ for call in calls_of(model)]


def test_linear_by_hand():
    found = dense([[1.0, 2.0], [3.0, 4.0]], [10.0, 20.0])
    x = tf.constant([[1.0, 2.0]])
    np.testing.assert_allclose(found(x), [[17, 30]])
    np.testing.assert_allclose(found.product(x), [[7, 10]])
    np.testing.assert_allclose(found.part(x, tf.constant([1])), [[6, 8]])
    np.testing.assert_allclose(found.part(x, tf.constant([0, -1])), [[1, 2]])
    found.scale(tf.constant([2.0, 0.0]), tf.constant([1.0, 5.0]))
    np.testing.assert_allclose(found(x), [[35, 5]])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_parts_of_a_convolution_add_up_to_it(data_format, bias):
    layer = layers.Conv2D(
        4, 3, strides=2, data_format=data_format, use_bias=bias
    )
    x = tf.random.stateless_normal((2, 7, 7, 7), (0, 1))
    expected = layer(x)
    if bias:
        layer.bias.assign([1.0, 2.0, 3.0, 4.0])
        expected = layer(x)
    found = linear.Linear(layer)
    np.testing.assert_allclose(found(x), expected, atol=1e-5)
    parts = [found.part(x, tf.constant([i, i + 1, -1])) for i in (0, 2, 4)]
    total = tf.add_n([*parts, found.part(x, tf.constant([6]))])
    np.testing.assert_allclose(total, found.product(x), atol=1e-5)


def test_normalisation_and_its_mask_go_into_the_kernel():
    model = zoo.network("residual_identity")
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    masking.set_mask(masked, graph, zoo.random_keep(graph, 0))
    names = [type(call.layer).__name__ for call in calls_of(masked)]
    assert names.count("Linear") == 6  # five convolutions, one dense layer
    assert not {"ChannelMask", "BatchNormalization", "Conv2D"} & set(names)


@pytest.mark.parametrize("name", list(zoo.NETWORKS))
def test_computes_the_same(name):
    model = zoo.network(name)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    masking.set_mask(masked, graph, zoo.random_keep(graph, 0))
    code, inputs = program.program(masked), verification.random_inputs(model)
    values = dict(zip(map(id, code.inputs), keras.tree.flatten(inputs)))
    program.replay(
        linear.calls(code), values, lambda call, *a, **k: call.layer(*a, **k)
    )
    expected = keras.tree.flatten(masked(inputs, training=False))
    for tensor, each in zip(keras.tree.flatten(code.outputs), expected):
        limit = 1e-5 * np.abs(each).max()
        np.testing.assert_allclose(values[id(tensor)], each, atol=limit)


def test_activation_becomes_a_call():
    inputs = keras.Input((3,))
    x = layers.Dense(4, activation="relu", name="dense")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(x))
    paths = [call.path for call in calls_of(model)]
    assert paths[:2] == ["dense/product", "dense"]
    assert kinds(model) == ["Linear", "Ending", "Linear"]


def of(body, shape=(6, 6, 3)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, body(inputs))


def read_twice(x):
    x = layers.Conv2D(4, 3)(x)
    return layers.BatchNormalization()(x) + x


def trained(x):
    return layers.BatchNormalization()(layers.Conv2D(4, 3)(x), training=True)


def along_rows(x):
    return layers.BatchNormalization(axis=1)(layers.Conv2D(4, 3)(x))


@pytest.mark.parametrize("body", [read_twice, trained, along_rows])
def test_other_normalisations_stay(body):
    assert kinds(of(body))[:2] == ["Linear", "BatchNormalization"]


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(6, 3, groups=3),
        layers.Conv2D(6, 3, dtype="mixed_bfloat16"),
        layers.Conv2D(6, 3, dtype="bfloat16"),
        layers.DepthwiseConv2D(3),
        layers.SpectralNormalization(layers.Conv2D(6, 3)),
    ],
    ids=["groups", "mixed", "half", "depthwise", "wrapped"],
)
def test_other_layers_stay(layer):
    assert kinds(of(layer)) == [type(layer).__name__]


def test_causal_convolution_stays():
    layer = layers.Conv1D(4, 3, padding="causal")
    assert kinds(of(layer, (6, 3))) == ["Conv1D"]


@pytest.mark.parametrize(
    "body, expected",
    [
        (lambda x: layers.GlobalAveragePooling2D()(x), True),
        (lambda x: layers.ZeroPadding2D()(x), True),
        (lambda x: layers.Conv2D(4, 3)(x), True),
        (lambda x: layers.Add()([x, x]), True),
        (lambda x: x + 1.0, True),
        (lambda x: x + layers.GlobalMaxPooling2D(keepdims=True)(x), False),
        (lambda x: layers.ReLU()(x), False),
        (lambda x: layers.MaxPooling2D()(x), False),
        (lambda x: layers.Multiply()([x, x]), False),
        (lambda x: x - 1.0, False),
    ],
)
def test_linear_parts(body, expected):
    (*_, call) = calls_of(of(body))
    assert (linear.linear_part(call) is not None) == expected


def test_differences_add_up():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Add()([inputs, inputs, inputs]))
    (call,) = calls_of(model)
    parts = [tf.constant([[1.0]]), tf.constant([[2.0]])]
    np.testing.assert_allclose(linear.linear_part(call)(parts), [[3.0]])
