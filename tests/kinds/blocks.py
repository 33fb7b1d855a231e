"""Kinds of node that are made of several layers, or of one called twice."""

import math

import keras
from keras import layers
from keras import ops

from tests.kinds import base


@base.kind()
def image_input():
    x = keras.Input((6, 6, 3))
    return [x, layers.Conv2D(6, 3, padding="same")(x)]


@base.kind()
def vector_input():
    x = keras.Input((5,))
    return [x, layers.Dense(6, activation="relu")(x)]


@base.kind(mask_zero=(False, True))
def words_input(mask_zero):
    x = keras.Input((5,), dtype="int32")
    return [x, layers.Embedding(4, 6, mask_zero=mask_zero)(x)]


@base.kind(base.ANY)
def output(x):
    """Shows a tensor as an output of the model."""
    return []


def conv_bn(x, filters, **settings):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, **settings)(x)
    return layers.BatchNormalization()(x)


@base.kind(base.IMAGE, widening=(0, 1, 2, 3, 4), strides=(1, 2))
def residual_block(x, widening, strides):
    channels = x.shape[-1]
    y = layers.ReLU()(conv_bn(x, 4, strides=strides))
    y = conv_bn(y, channels + widening)
    x = x[:, ::strides, ::strides]
    before = widening // 2
    x = ops.pad(x, [(0, 0)] * 3 + [(before, widening - before)])
    return layers.ReLU()(layers.Add()([x, y]))


@base.kind(base.IMAGE)
def inverted_residual(x):
    y = layers.Conv2D(2 * x.shape[-1], 1, activation="relu6")(x)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization()(y)
    return x + layers.Conv2D(x.shape[-1], 1)(layers.Activation("silu")(y))


@base.kind(base.IMAGE)
def squeeze_and_excite(x):
    s = layers.GlobalAveragePooling2D(keepdims=True)(x)
    s = layers.Dense(4, activation="relu")(s)
    return x * layers.Dense(x.shape[-1], activation="sigmoid")(s)


@base.kind(base.IMAGE, groups=(2, 3))
def channel_shuffle(x, groups):
    *_, rows, columns, channels = x.shape
    groups = math.gcd(groups, channels)
    y = layers.Reshape((rows, columns, groups, channels // groups))(x)
    y = layers.Permute((1, 2, 4, 3))(y)
    return layers.Reshape((rows, columns, channels))(y)


@base.kind(base.IMAGE, filters=base.FILTERS)
def channels_first(x, filters):
    first = {"data_format": "channels_first"}
    x = layers.Permute((3, 1, 2))(x)
    # Without a bias: Keras adds it to the columns if they are as many.
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, **first)(x)
    x = layers.PReLU(shared_axes=[2, 3])(layers.BatchNormalization(axis=1)(x))
    x = x * layers.GlobalAveragePooling2D(keepdims=True, **first)(x)
    return layers.Permute((2, 3, 1))(layers.ZeroPadding2D(1, **first)(x))


@base.kind(base.ANY, base.SAME, units=base.FILTERS)
def shared_dense(x, y, units):
    layer = layers.Dense(units, activation="sigmoid")
    return [layer(x), layer(base.like(y, x))]


@base.kind(base.IMAGE, base.IMAGE, filters=base.FILTERS)
def shared_conv_bn(x, y, filters):
    conv = layers.Conv2D(filters, 3, padding="same", use_bias=False)
    norm = layers.BatchNormalization()
    y = y if y.shape[-1] == x.shape[-1] else layers.Dense(x.shape[-1])(y)
    return [norm(conv(x)), norm(conv(y))]


@base.kind(base.ANY, base.SAME, name=("sigmoid", "relu", "softplus"))
def shared_activation(x, y, name):
    layer = layers.Activation(name)
    return [layer(x), layer(base.like(y, x))]


@base.kind(base.IMAGE, filters=base.FILTERS)
def recurrent_conv(x, filters):
    x = layers.Dense(filters)(x)
    conv = layers.Conv2D(filters, 3, padding="same", activation="tanh")
    return conv(conv(x))


def encoder(shape, filters, skip):
    """Returns a model to nest, with a shortcut inside if told."""
    inputs = keras.Input(shape)
    x = layers.BatchNormalization()(layers.Dense(filters)(inputs))
    x = layers.Dense(shape[-1])(layers.ReLU()(x)) + 1.0
    return keras.Model(inputs, x + inputs if skip else x)


@base.kind(base.ANY, filters=base.FILTERS, skip=(False, True))
def nested_model(x, filters, skip):
    return encoder(x.shape[1:], filters, skip)(x)


@base.kind(base.ANY, base.SAME, filters=base.FILTERS, skip=(False, True))
def nested_model_twice(x, y, filters, skip):
    inner = encoder(x.shape[1:], filters, skip)
    return [inner(x), inner(base.like(y, x))]


@base.kind(base.IMAGE, filters=base.FILTERS)
def nested_sequential(x, filters):
    inner = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Conv2D(filters, 1, activation="softplus"),
            layers.BatchNormalization(),
        ]
    )
    return inner(x)


@base.kind(base.ANY, sections=(2, 3))
def split(x, sections):
    return ops.split(x, math.gcd(sections, x.shape[-1]), axis=-1)


@base.kind(base.ANY, by_split=(False, True))
def gated_linear_unit(x, by_split):
    half = max(x.shape[-1] // 2, 1)
    x = x[..., : 2 * half]
    a, b = x[..., :half], x[..., -half:]
    if by_split and x.shape[-1] > 1:
        a, b = ops.split(x, 2, axis=-1)
    return a * ops.sigmoid(b)


@base.kind(base.ANY, base.SAME, axis=(1, -1))
def stack(x, y, axis):
    return ops.max(ops.stack([x, base.like(y, x)], axis=axis), axis=axis)


@base.kind(base.SEQUENCE, base.SEQUENCE, heads=(1, 2))
def attention(x, y, heads):
    return layers.MultiHeadAttention(heads, 3)(x, y)


@base.kind(base.SEQUENCE, units=base.FILTERS, return_sequences=(False, True))
def lstm(x, **settings):
    return layers.LSTM(**settings)(x)


@base.kind(base.SEQUENCE, units=base.FILTERS)
def bidirectional(x, units):
    return layers.Bidirectional(layers.GRU(units, return_sequences=True))(x)


@base.kind(base.IMAGE, filters=base.FILTERS)
def over_time(x, filters):
    return layers.TimeDistributed(layers.Conv1D(filters, 1))(x)


@base.kind(base.SEQUENCE, units=base.FILTERS)
def mixer(x, units):
    y = layers.Dense(units, activation="gelu")(layers.Permute((2, 1))(x))
    return x + layers.Permute((2, 1))(layers.Dense(x.shape[1])(y))


@base.kind(base.SEQUENCE)
def product(x):
    return layers.Dot(axes=(1, 1))([x, layers.Dense(5)(x)])


@base.kind(base.SEQUENCE)
def expanded(x):
    x = ops.squeeze(ops.tanh(ops.expand_dims(x, -2)), 2)
    return ops.repeat(x, 2, axis=1)
