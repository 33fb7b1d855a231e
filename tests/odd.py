"""Odd models: unusual calls, shapes, layers without rules, deep nesting."""

import inspect

import keras
from keras import layers
from keras import ops
import numpy as np
import tensorflow as tf

from tests import zoo

MODELS = {}


def model(build):
    """Adds a function that builds a model to `MODELS`."""
    MODELS[build.__name__] = build
    return build


def images(body):
    """Adds a model of `body` on images to `MODELS`."""

    def build():
        inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, body(inputs))

    build.__name__ = body.__name__
    return model(build)


@keras.saving.register_keras_serializable(package="tests")
class Gain(layers.Layer):
    """A layer without a rule that takes a second tensor by keyword."""

    def call(self, x, gain=None):
        return x * gain


@keras.saving.register_keras_serializable(package="tests")
class Doubled(keras.Model):
    """A Functional model that computes something else than its graph."""

    def __init__(self, **kwargs):
        inputs = keras.Input((8, 8, 6))
        super().__init__(inputs, zoo.conv(inputs, 5), **kwargs)

    def call(self, x):
        return super().call(x) * 2

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(name=config["name"])


def function(body):
    """Makes a function one that a layer can be made again with."""
    return keras.saving.register_keras_serializable(package="tests")(body)


@model
def channels_first():
    inputs = keras.Input((3, 8, 8))
    kwargs = {"data_format": "channels_first"}
    x = layers.Conv2D(6, 3, padding="same", **kwargs)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(axis=1)(x))
    x = layers.UpSampling2D(**kwargs)(layers.ZeroPadding2D(1, **kwargs)(x))
    y = layers.Conv2D(5, 3, activation="sigmoid", **kwargs)(x)
    y = layers.PReLU(shared_axes=[2, 3])(y)
    z = layers.Conv2DTranspose(4, 3, **kwargs)(y)
    s = layers.GlobalAveragePooling2D(keepdims=True, **kwargs)(y)
    z = layers.Concatenate(axis=1)([y * s, layers.Cropping2D(1, **kwargs)(z)])
    flat = layers.Flatten(**kwargs)(z)
    mean = layers.GlobalAveragePooling2D(**kwargs)(z)
    return keras.Model(inputs, layers.Dense(3)(flat) + layers.Dense(3)(mean))


@model
def unknown_sizes():
    inputs = keras.Input((None, None, 3))
    x = zoo.conv_bn(inputs, 6, strides=2)
    x = layers.UpSampling2D()(x + zoo.conv_bn(x, 6))
    x = layers.Reshape((-1, 6))(layers.Concatenate(axis=1)([x, x]))
    x = layers.Dense(4, activation="sigmoid")(x)
    return keras.Model(inputs, layers.Dense(3)(ops.max(x, axis=1)))


@model
def dict_outputs():
    inputs = keras.Input((8, 8, 3))
    x = zoo.conv_bn(inputs, 6)
    outputs = {"a": zoo.head(x), "b": {"c": zoo.conv(zoo.conv(x, 4), 2)}}
    return keras.Model(inputs, outputs)


@model
def dict_inputs():
    inputs = {
        "image": keras.Input((8, 8, 3), name="image"),
        "extra": keras.Input((4,), name="extra"),
    }
    s = layers.Dense(6, activation="sigmoid")(inputs["extra"])
    x = zoo.conv_bn(inputs["image"], 6) * s[:, None, None]
    return keras.Model(inputs, zoo.head(zoo.conv(x, 5)))


@images
def keyword_tensors(x):
    x = zoo.conv_bn(x, 6)
    y = zoo.conv_bn(x, 6)
    x = layers.Add()(inputs=[x, y])
    x = ops.multiply(x1=zoo.conv(x, 5), x2=zoo.conv(x, 5))
    x = zoo.conv_bn(x + 0.5, 5)
    return zoo.head(zoo.conv(Gain()(x, gain=zoo.conv(x, 5)), 4))


@images
def keyword_constants(x):
    x = ops.add(x1=zoo.conv(x, 6), x2=np.arange(6, dtype="float32"))
    return zoo.head(ops.clip(x=zoo.conv(x, 4), x_min=-1.0, x_max=1.0))


@images
def odd_constants(x):
    x = zoo.conv(x, 6) + np.linspace(0, 1, 64).reshape(8, 8, 1)
    x = ops.multiply(np.linspace(1, 2, 48).reshape(1, 8, 6), x)
    x = 2.0 - zoo.conv(x, 5)
    x = x / np.arange(1.0, 6.0)[None, None, None]
    x = ops.subtract(np.ones(1), zoo.conv(x, 4))
    return zoo.head(ops.maximum(zoo.conv(x, 5) ** 2, np.linspace(-1, 1, 5)))


@images
def growing_constants(x):
    x = zoo.conv(layers.GlobalMaxPooling2D(keepdims=True)(x), 6)
    x = x + np.linspace(-1, 1, 8 * 8 * 6).reshape(8, 8, 6)
    y = zoo.conv(x, 1)
    return zoo.head(zoo.conv(y * np.arange(4, dtype="float32"), 5))


@images
def strided_slices(x):
    x = zoo.conv_bn(x, 8)
    a = zoo.conv_bn(x[..., ::2], 4)
    b = zoo.conv_bn(a[..., ::-1], 4)
    c = zoo.conv_bn(zoo.conv_bn(x, 5)[:, ::2, ::-1, 1:4], 6)
    d = layers.Dense(4)(zoo.conv_bn(x, 5)[:, 3, 2:3])
    e = layers.Dense(4)(zoo.conv_bn(x, 5)[:, None, ..., 2])
    return [zoo.head(y) for y in (b, c, d[:, None], e[:, 0, ..., None])]


@images
def slices_of_slices(x):
    x = zoo.conv_bn(x, 8)[..., 1:7]
    y = zoo.conv_bn(x, 8)
    return zoo.head(zoo.conv(x[..., 1:-1] + y[..., -4:] + y[..., :4], 5))


@images
def concatenated_positions(x):
    a, b = zoo.conv_bn(x, 6), zoo.conv_bn(x, 6)
    x = layers.Concatenate(axis=1)([a, b])
    x = layers.Concatenate(axis=-2)([x, zoo.conv(x, 6)])
    return zoo.head(zoo.conv(ops.concatenate([x, x], axis=2), 4))


@images
def reshape_with_unknown(x):
    x = layers.Reshape((-1, 6))(zoo.conv_bn(x, 6))
    x = layers.Reshape((8, 8, -1))(layers.Dense(5)(x))
    x = ops.reshape(zoo.conv(x, 6), (-1, 64, 6))
    x = layers.Dense(4, activation="sigmoid")(x)
    return layers.Dense(3)(layers.Reshape((-1,))(x))


@images
def merged_positions(x):
    x = layers.Reshape((8, 48))(zoo.conv_bn(x, 6))
    x = layers.Conv1D(5, 3, activation="relu")(x)
    x = layers.Reshape((2, 15))(x)
    return layers.Dense(3)(layers.Flatten()(layers.Conv1D(4, 1)(x)))


@images
def channel_shuffle(x):
    x = zoo.conv_bn(zoo.conv_bn(x, 8), 8, groups=2)
    x = layers.Permute((1, 2, 4, 3))(layers.Reshape((8, 8, 2, 4))(x))
    x = layers.Reshape((8, 8, 8))(x)
    return zoo.head(zoo.conv_bn(zoo.conv_bn(x, 8, groups=4), 5))


@images
def slopes_of_positions(x):
    x = layers.PReLU()(zoo.conv_bn(x, 6))
    x = layers.PReLU(shared_axes=[1, 2, 3])(zoo.conv(x, 5))
    return layers.Dense(3)(layers.PReLU()(layers.Flatten()(x)))


@images
def normalised_rows(x):
    x = layers.BatchNormalization(axis=1)(zoo.conv(x, 6))
    x = layers.BatchNormalization(center=False, scale=False)(zoo.conv(x, 5))
    x = layers.BatchNormalization(center=False)(zoo.conv(x, 5))
    x = layers.Flatten()(x)
    return layers.Dense(3)(layers.BatchNormalization()(x))


@images
def gate_of_vector(x):
    x = zoo.conv_bn(x, 6)
    s = layers.Dense(6, activation="sigmoid")(
        layers.GlobalAveragePooling2D()(x)
    )
    x = layers.Multiply()([layers.Reshape((1, 1, 6))(s), x])
    s = layers.Dense(6)(layers.GlobalMaxPooling2D(keepdims=True)(x))
    return zoo.head(zoo.conv(x * ops.sigmoid(s), 5))


@images
def rows_and_channels(x):
    x = zoo.conv_bn(x, 8)
    s = layers.Dense(8, activation="sigmoid")(
        layers.GlobalAveragePooling2D()(x)
    )
    return zoo.head(x * s[:, None, :, None])


@images
def matched_rows(x):
    x = zoo.conv_bn(x, 6)
    y = layers.Permute((3, 1, 2))(x)  # [batch, channels, 8, 8]
    x = x[:, :6, :6] * y[:, :, :6, :6]
    return layers.Dense(3)(layers.Flatten()(x))


@images
def mixer(x):
    x = layers.Reshape((64, 6))(zoo.conv_bn(x, 6))
    y = layers.Permute((2, 1))(x)
    y = layers.Dense(64)(layers.Dense(7, activation="gelu")(y))
    x = x + layers.Permute((2, 1))(y)
    x = layers.Dense(6)(layers.Dense(9, activation="gelu")(x)) + x
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


@images
def numbers_across_rows(x):
    x = layers.Reshape((64, 6))(zoo.conv_bn(x, 6))
    y = layers.Permute((2, 1))(layers.Dense(64)(layers.Permute((2, 1))(x)))
    x = (x + y) * np.linspace(0.5, 1.5, 6)
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


@images
def nested_with_its_own_call(x):
    return zoo.head(zoo.conv_bn(Doubled()(zoo.conv(x, 6)), 4))


@model
def nested_twice():
    deep = keras.Sequential(
        [keras.Input((8, 8, 6)), layers.Conv2D(5, 3), layers.ReLU()],
        name="deep",
    )
    inputs = keras.Input((8, 8, 6))
    x = layers.BatchNormalization()(deep(layers.ReLU()(inputs))) + 1.0
    middle = keras.Model(inputs, layers.Conv2D(4, 3)(x), name="middle")
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(6, 3, padding="same"),
            middle,
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


@model
def nested_operations_twice():
    inner = keras.Input((8, 8, 6))
    x = ops.pad(inner[..., 1:], ((0, 0), (0, 0), (0, 0), (1, 0)))
    x = (x + 1.0) * np.arange(1.0, 7.0, dtype="float32")
    inner = keras.Model(inner, layers.Reshape((64, 6))(x), name="inner")
    relu = [keras.Input((8, 8, 6)), layers.ReLU()]
    relu = keras.Sequential(relu, name="relu")
    inputs = keras.Input((8, 8, 3))
    a, b = (relu(zoo.conv(inputs, 6)) for _ in range(2))
    x = layers.Dense(4)(inner(a)) + layers.Dense(4)(inner(b))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


@model
def inside_and_outside():
    conv = layers.Conv2D(6, 3, padding="same", activation="sigmoid")
    inner = keras.Sequential(
        [keras.Input((8, 8, 6)), conv, layers.BatchNormalization()],
        name="inner",
    )
    inputs = keras.Input((8, 8, 3))
    x = zoo.conv_bn(inputs, 6)
    return keras.Model(inputs, zoo.head(zoo.conv(inner(conv(x)), 5)))


@model
def nested_outputs():
    a, b = keras.Input((8, 8, 6)), keras.Input((8, 8, 5))
    x = zoo.conv_bn(a, 5)
    inner = keras.Model(
        {"a": a, "b": b}, {"sum": x + b, "two": [zoo.conv(x, 4), b]}
    )
    inputs = keras.Input((8, 8, 3))
    x = inner({"a": zoo.conv_bn(inputs, 6), "b": zoo.conv_bn(inputs, 5)})
    y = inner({"b": x["sum"], "a": zoo.conv(x["two"][0], 6)})
    x = [y["sum"], y["two"][1], zoo.conv(y["two"][0], 5)]
    return keras.Model(inputs, zoo.head(layers.Add()(x)))


@images
def noise(x):
    x = layers.GaussianNoise(0.5)(zoo.conv_bn(x, 6))
    x = layers.SpatialDropout2D(0.5)(layers.Dropout(0.5)(zoo.conv(x, 5)))
    x = layers.AlphaDropout(0.5)(layers.GaussianDropout(0.5)(x))
    return zoo.head(layers.ActivityRegularization(0.1)(zoo.conv(x, 4)))


@model
def mixed_float16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((8, 8, 3))
        x = zoo.conv_bn(inputs, 6) + 1.0
        x = zoo.conv(x + zoo.conv_bn(x, 6), 5, activation="sigmoid")
        x = layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, layers.Dense(3, dtype="float32")(x))
    finally:
        keras.config.set_dtype_policy(before)


@images
def shared_unruled(x):
    flip = zoo.Unruled()
    x = zoo.conv_bn(flip(zoo.conv_bn(x, 6)), 5)
    return zoo.head(zoo.conv(flip(x), 4) + zoo.conv(flip(flip(x)), 4))


@images
def float64(x):
    x = zoo.conv_bn(ops.cast(x, "float64"), 6, dtype="float64")
    return zoo.head(zoo.conv(ops.cast(x, "float32"), 5))


def private(application, name):
    """Returns a class that only the models of an application have."""
    return getattr(inspect.getmodule(application), name)


@images
def layers_of_convnext(x):
    application = keras.applications.ConvNeXtTiny
    scale, depth = (
        private(application, name) for name in ("LayerScale", "StochasticDepth")
    )
    x = zoo.conv_bn(x, 6)
    y = layers.Dense(6)(layers.Dense(8, activation="gelu")(x))
    x = x + depth(0.5)(scale(1e-6, 6)(y))
    x = layers.Reshape((64, 5))(zoo.conv(x, 5))
    y = scale(1e-6, 64)(layers.Permute((2, 1))(x))
    x = x + layers.Permute((2, 1))(y)
    return layers.Dense(3)(scale(0.5, 4)(layers.Conv1D(4, 3)(x)))


@images
def scaled_sums(x):
    application = keras.applications.InceptionResNetV2
    scaled = private(application, "CustomScaleLayer")
    x = zoo.conv_bn(x, 6)
    x = layers.ReLU()(scaled(0.2)([x, zoo.conv(zoo.conv_bn(x, 5), 6)]))
    return zoo.head(scaled(0.1)([zoo.conv(x, 4), zoo.conv(x, 1)]))


@images
def normalised_inputs(x):
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(2, 3, (16, 8, 8, 3)))
    x = layers.Rescaling([1.0, 2.0, 3.0], [0.1, 0.2, 0.3])(norm(x))
    x = zoo.conv_bn(x, 6)
    x = layers.Rescaling([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])(x)
    x = layers.Normalization(mean=[1.0] * 5, variance=[2.0] * 5)(zoo.conv(x, 5))
    x = layers.Rescaling(2.0, [0.5])(zoo.conv_bn(x, 4))
    return zoo.head(layers.Normalization(mean=1.0, variance=4.0, axis=None)(x))


@images
def unused_outputs(x):
    first, _, third = ops.split(zoo.conv_bn(x, 6), 3, axis=-1)
    return zoo.head(zoo.conv_bn(first, 4) + zoo.conv_bn(third, 4))


@images
def stacked(x):
    a, b = zoo.conv_bn(x, 6), zoo.conv_bn(x, 6)
    x = ops.concatenate([a, b], axis=-1)
    x = ops.stack([x, zoo.conv(x, 12)], axis=1)
    a, b = ops.split(ops.max(x, axis=1), 2, axis=1)
    return zoo.head(zoo.conv(ops.concatenate([a, b, a], axis=1), 5))


@images
def split_and_shuffle(x):
    x = zoo.conv_bn(x, 8)
    for _ in range(2):
        a, b = ops.split(x, 2, axis=-1)
        b = layers.DepthwiseConv2D(3, padding="same")(zoo.conv_bn(b, 4))
        b = zoo.conv_bn(b, 4)
        x = layers.Reshape((8, 8, 2, 4))(ops.concatenate([a, b], axis=-1))
        x = layers.Reshape((8, 8, 8))(layers.Permute((1, 2, 4, 3))(x))
    return zoo.head(zoo.conv_bn(x, 5))


@images
def gated_linear_units(x):
    x = ops.glu(zoo.conv_bn(x, 12), axis=-1)
    a, b = ops.split(zoo.conv(x, 10), 2, axis=-1)
    x = zoo.conv(a * ops.sigmoid(b), 8)
    a, b, c = ops.split(x, (3, 5), axis=-1)
    x = ops.glu(zoo.conv(x, 6), axis=1)
    return [zoo.head(zoo.conv(y, 4)) for y in (a, b * ops.tanh(b), c, x)]


@images
def u_net(x):
    skips = []
    for filters in (4, 6):
        x = zoo.conv_bn(zoo.conv_bn(x, filters), filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = zoo.conv_bn(x, 8)
    for filters in (6, 4):
        x = layers.Conv2DTranspose(filters, 2, strides=2)(x)
        x = zoo.conv_bn(layers.Concatenate()([x, skips.pop()]), filters)
    return zoo.conv(x, 2, 1)


@images
def feature_pyramid(x):
    levels = [zoo.conv_bn(x, 4)]
    for filters in (6, 8):
        levels.append(zoo.conv_bn(levels[-1], filters, strides=2))
    sums = [zoo.conv(levels[-1], 5, 1)]
    for level in levels[-2::-1]:
        sums.append(zoo.conv(level, 5, 1) + layers.UpSampling2D()(sums[-1]))
    head = layers.Conv2D(2, 3, padding="same")
    return [head(zoo.conv_bn(level, 5)) for level in sums]


@images
def one_channel(x):
    x = zoo.conv_bn(zoo.conv_bn(x, 1), 5)
    return zoo.head(zoo.conv_bn(x, 1) * zoo.conv_bn(x, 4))


@images
def flat_and_back(x):
    x = layers.Flatten()(zoo.conv_bn(x, 4, strides=4))
    x = layers.Dense(32, activation="relu")(x)
    x = zoo.conv(layers.Reshape((4, 4, 2))(x), 6)
    x = layers.Reshape((4, 4, 6))(layers.Flatten()(x))
    x = layers.Reshape((2, 40))(zoo.conv_bn(x, 5))
    return layers.Dense(3)(layers.Flatten()(layers.Conv1D(4, 2)(x)))


@images
def unequal_groups(x):
    x = zoo.conv_bn(zoo.conv_bn(x, 12), 6, groups=3)
    x = layers.Conv2DTranspose(8, 3)(zoo.conv(x, 9, 1, activation="relu"))
    return zoo.head(zoo.conv_bn(x, 16, groups=2))


@images
def unstacked(x):
    rows = ops.unstack(zoo.conv_bn(x, 6), axis=1)
    x = ops.stack([layers.Conv1D(5, 3)(row) for row in rows[:4]], axis=2)
    x = ops.stack(ops.unstack(zoo.conv(x, 4), axis=-1), axis=-2)
    x = layers.Conv2D(4, 1)(ops.swapaxes(x, -1, -2))
    return zoo.head(zoo.conv(x, 4))


@images
def blocks_and_channels(x):
    x = ops.reshape(zoo.conv_bn(x, 12), (-1, 8, 8, 2, 2, 3))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 16, 16, 3))
    x = zoo.conv(x, 6)
    x = layers.Reshape((8, 2, 8, 2, 6))(x)
    x = layers.Reshape((8, 8, 24))(layers.Permute((1, 3, 2, 4, 5))(x))
    return zoo.head(zoo.conv(x, 5))


def spaces_and_depths():
    inputs = keras.Input((8, 8, 3))
    x = ops.depth_to_space(zoo.conv_bn(inputs, 12), 2)
    x = zoo.conv(ops.space_to_depth(zoo.conv(x, 5), 4), 8)
    parts = ops.array_split(zoo.conv(x, 5), 3, axis=1)
    parts = ops.array_split(zoo.conv(ops.concatenate(parts, 1), 8), 2, axis=-1)
    x = layers.Permute((3, 1, 2))(zoo.conv(ops.concatenate(parts, -1), 8))
    x = ops.depth_to_space(x, 2, data_format="channels_first")
    x = ops.space_to_depth(x, 4, data_format="channels_first")
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


if hasattr(ops, "depth_to_space"):  # Operations of Keras 3.14.
    model(spaces_and_depths)


@function
def blocks(x):
    return tf.nn.depth_to_space(x, 2)


@images
def blocks_of_a_function(x):
    x = layers.Lambda(blocks, output_shape=(16, 16, 2))(zoo.conv_bn(x, 8))
    return zoo.head(zoo.conv(x, 5))


@images
def moved_places(x):
    x = ops.flip(ops.flip(zoo.conv_bn(x, 6), axis=1), axis=-1)
    x = ops.roll(zoo.conv(ops.rot90(x, axes=(1, 2)), 6), (1, 2), axis=(1, 2))
    x = zoo.conv(ops.tile(x, (1, 1, 2, 3)), 4)
    x = zoo.conv(ops.repeat(ops.repeat(x, 2, axis=-1), 2, axis=2), 5)
    y = ops.roll(zoo.conv(ops.repeat(x, [1, 2] * 4, axis=1), 4), 1, axis=-1)
    x = zoo.conv(ops.moveaxis(ops.swapaxes(x, 1, 3), 1, -1), 6)
    return zoo.head(x), zoo.head(zoo.conv(y, 4))


@model
def broadcast_positions():
    inputs = keras.Input(batch_shape=(2, 4, 4, 3))
    x = ops.mean(zoo.conv_bn(inputs, 6), axis=(1, 2), keepdims=True)
    x = zoo.conv(ops.broadcast_to(x, (2, 4, 4, 6)), 5)
    return keras.Model(inputs, zoo.head(ops.broadcast_to(x, (2, 4, 4, 5))))


@images
def reduced_channels(x):
    x = zoo.conv_bn(x, 6)
    parts = [ops.mean(x, -1, keepdims=True), ops.max(x, -1, keepdims=True)]
    y = zoo.conv(layers.Concatenate()(parts), 1, activation="sigmoid")
    return zoo.head(zoo.conv_bn(x * y, 5) * ops.sum(y))


@keras.saving.register_keras_serializable(package="tests")
def reversed_channels(x):
    return x[..., ::-1] * 2


@images
def lambdas(x):
    x = zoo.conv_bn(layers.Lambda(reversed_channels)(zoo.conv_bn(x, 6)), 5)
    return zoo.head(zoo.conv_bn(ops.where(x > 1, x, 0.5), 4))


@model
def words():
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(5, 6)(inputs)
    x = layers.Conv1D(6, 3, padding="same", activation="relu")(x)
    x = layers.LSTM(5, return_sequences=True)(layers.Dense(4)(x))
    x = layers.Dense(6, activation="sigmoid")(x)
    x = x + layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.Bidirectional(layers.GRU(3))(layers.Dense(5)(x))
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(4)(x)))


def encoded(x, width, heads, hidden):
    y = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(heads, 3)(y, y)
    y = layers.LayerNormalization()(x)
    y = layers.Dense(hidden, activation="gelu")(y)
    return x + layers.Dense(width)(y)


@images
def vision_transformer(x):
    x = layers.Conv2D(6, 2, strides=2)(x)
    x = layers.Reshape((16, 6))(x)
    for _ in range(2):
        x = encoded(x, 6, heads=4, hidden=10)
    x = layers.LayerNormalization()(x)
    return layers.Dense(3)(layers.GlobalAveragePooling1D()(x))


@images
def attentions(x):
    x = layers.Reshape((16, 12))(layers.Conv2D(12, 2, strides=2)(x))
    y = layers.Conv1D(5, 3)(x)
    kinds = [
        {"use_causal_mask": True},
        {"attention_mask": np.tri(16, 14)[None] > 0},
        {"key": layers.Conv1D(7, 3)(x)},
    ]
    parts = [
        layers.MultiHeadAttention(4, 2, 3, use_bias=False)(x, y, **kinds[0]),
        layers.MultiHeadAttention(4, 2, dropout=0.1)(y, x),
        layers.MultiHeadAttention(4, 2, output_shape=8)(x, y, **kinds[1]),
        layers.MultiHeadAttention(4, 2, output_shape=(4,))(x, y, **kinds[2]),
        layers.MultiHeadAttention(3, 2, output_shape=(2, 3))(query=x, value=y),
    ]
    attention = layers.MultiHeadAttention(5, 2)
    x = attention(x, attention(x, value=x))
    z, scores = layers.MultiHeadAttention(3, 2)(
        x, x, return_attention_scores=True
    )
    parts = [layers.Flatten()(part) for part in (*parts, x, z, scores)]
    return layers.Dense(3)(layers.Concatenate()(parts))


@images
def attention_over_axes(x):
    x = zoo.conv_bn(x, 6)
    x = x + layers.MultiHeadAttention(4, 2, attention_axes=(1,))(x, x)
    x = layers.MultiHeadAttention(4, 2, attention_axes=(1, 2))(x, x)
    return zoo.head(x)


@model
def attention_to_words():
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(5, 6, mask_zero=True)(inputs)
    x = layers.MultiHeadAttention(4, 2)(x, layers.Dense(5)(x))
    x = layers.GlobalAveragePooling1D()(layers.Dense(4)(x))
    return keras.Model(inputs, layers.Dense(2)(x))


@images
def equations(x):
    x = layers.EinsumDense("...a,ab->...b", 6, bias_axes="b")(x)
    x = layers.EinsumDense("abcd,de->abce", (8, 8, 5), activation="relu")(x)
    x = layers.Reshape((64, 5))(x)
    x = layers.EinsumDense("abc,cde->abde", (64, 4, 3), bias_axes="de")(x)
    y = layers.EinsumDense("abcd,ec->abed", (64, 6, 3), bias_axes="d")(x)
    x = layers.EinsumDense("abcd,cde->abe", (64, 5), bias_axes="e")(x)
    x = layers.EinsumDense("abc,bd->adc", (7, 5), bias_axes="d")(x)
    y = layers.EinsumDense("abcd,bcd->acd", (6, 3))(y)  # Not as a kernel.
    return [layers.Dense(3)(layers.Flatten()(part)) for part in (x, y)]


@model
def recurrent_words():
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(5, 8, mask_zero=True)(inputs)
    x = layers.LSTM(4, return_sequences=True)(x)
    x = layers.Dense(6)(x) + layers.Conv1D(6, 3, padding="same")(x)
    states = [layers.Dense(5)(x[:, 0]), layers.Dense(5)(x[:, 1])]
    y, *states = layers.LSTM(5, return_state=True)(x, initial_state=states)
    x = layers.GRU(5, return_sequences=True)(x, initial_state=y)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x)
    x = layers.TimeDistributed(layers.Dense(6, activation="relu"))(x)
    x = layers.Bidirectional(layers.SimpleRNN(3), merge_mode="sum")(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(4)(x) * y[:, :4]))


@model
def frames():
    inputs = keras.Input((4, 8, 8, 3))
    x = layers.TimeDistributed(layers.Conv2D(6, 3, use_bias=False))(inputs)
    x = layers.TimeDistributed(layers.BatchNormalization())(x)
    x = layers.TimeDistributed(layers.DepthwiseConv2D(3))(layers.ReLU()(x))
    shared = layers.TimeDistributed(layers.Conv2D(5, 3, padding="same"))
    x = shared(layers.TimeDistributed(layers.MaxPooling2D())(x))
    x = layers.TimeDistributed(layers.Flatten())(shared(layers.Conv3D(6, 1)(x)))
    x = layers.TimeDistributed(layers.Dense(6, activation="sigmoid"))(x)
    return keras.Model(inputs, layers.Dense(3)(layers.LSTM(4)(x)))


@images
def normalised_groups(x):
    x = layers.GroupNormalization(4)(zoo.conv(x, 8))
    x = layers.GroupNormalization(-1)(zoo.conv(layers.ReLU()(x), 6))
    x = layers.GroupNormalization(1)(zoo.conv(x, 5))
    x = x + layers.GroupNormalization(5, center=False)(zoo.conv(x, 5))
    x = layers.Permute((3, 1, 2))(zoo.conv(x, 6))
    x = layers.GroupNormalization(3, axis=1, scale=False)(x)
    x = layers.GroupNormalization(2)(x)
    return layers.Dense(3)(layers.Flatten()(x))


def words_read_twice():
    inputs = keras.Input((7,), dtype="int32")
    embedding = layers.ReversibleEmbedding(5, 6)
    x = layers.Dense(6)(layers.Dense(4)(embedding(inputs)))
    return keras.Model(inputs, embedding(x, reverse=True))


if hasattr(layers, "ReversibleEmbedding"):  # Of newer versions of Keras.
    model(words_read_twice)


@model
def padded_words():
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(5, 6, mask_zero=True)(inputs)
    x = layers.Dense(5, activation="sigmoid")(x)
    x = layers.BatchNormalization()(layers.Dense(4)(x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(2)(x))


@model
def over_time():
    inputs = keras.Input((4, 8, 8, 3))
    x = layers.TimeDistributed(layers.Conv2D(6, 3))(inputs)
    x = layers.Conv3D(5, 1, activation="relu")(x)
    x = layers.TimeDistributed(layers.Flatten())(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Dense(4)(x)))


@images
def wrapped(x):
    x = layers.SpectralNormalization(layers.Conv2D(6, 3))(zoo.conv_bn(x, 5))
    x = layers.GroupNormalization(2)(zoo.conv_bn(x, 6))
    x = layers.UnitNormalization()(zoo.conv_bn(x, 5))
    return zoo.head(layers.LayerNormalization(axis=[1, 2])(zoo.conv(x, 4)))


@images
def products(x):
    x = layers.Reshape((64, 6))(zoo.conv_bn(x, 6))
    a = layers.Dot(axes=(1, 1))([x, layers.Dense(5)(x)])
    b = ops.matmul(layers.Dense(4)(x), ops.ones((4, 3)))
    c = ops.einsum("bpc,bqc->bpq", layers.Dense(4)(x), layers.Dense(4)(x))
    return [layers.Dense(2)(y) for y in (a, b, c)]


@images
def itself(x):
    x = zoo.conv_bn(x, 6)
    x = zoo.conv(layers.Add()([x, x]) * x - x, 5)
    return zoo.head(layers.Concatenate()([x, x]) / (x[..., :1] ** 2 + 1.0))


@model
def straight_through():
    inputs = keras.Input((8, 8, 3))
    x = zoo.conv_bn(inputs, 6)
    y = zoo.conv(x, 3)
    return keras.Model(inputs, [inputs, inputs + y, y, y])


@images
def shared_activations(x):
    sigmoid, relu = layers.Activation("sigmoid"), layers.ReLU()
    x = sigmoid(zoo.conv(relu(zoo.conv(x, 6)), 5))
    return zoo.head(relu(zoo.conv(sigmoid(zoo.conv(x, 6)), 4)))


@images
def shared_activations_of_one_width(x):
    sigmoid = layers.Activation("sigmoid")
    x = sigmoid(zoo.conv(x, 6))
    return zoo.head(sigmoid(zoo.conv(x, 6)))


@images
def shared_shapes(x):
    reshape, pad = layers.Reshape((1, 1, 6)), layers.ZeroPadding2D()
    pool = layers.GlobalAveragePooling2D()
    flatten = layers.Flatten()
    for _ in range(2):
        x = zoo.conv_bn(pad(x), 6)
        s = layers.Dense(6, activation="sigmoid")(pool(x))
        x = x * reshape(s)
    return layers.Dense(3)(flatten(x)) + layers.Dense(3)(flatten(x[:, :4]))


@images
def shared_depthwise(x):
    depthwise = layers.DepthwiseConv2D(3, padding="same")
    separable = layers.SeparableConv2D(6, 3, padding="same")
    prelu = layers.PReLU(shared_axes=[1, 2])
    norm = layers.BatchNormalization()
    x = norm(depthwise(zoo.conv_bn(x, 6)))
    x = prelu(separable(norm(depthwise(zoo.conv_bn(x, 6)))))
    return zoo.head(zoo.conv(prelu(separable(zoo.conv(x, 6))), 5))


@images
def regularised(x):
    kwargs = {
        "bias_initializer": keras.initializers.Constant(0.5),
        "kernel_regularizer": "l2",
        "kernel_constraint": keras.constraints.MaxNorm(2),
        "activity_regularizer": "l1",
    }
    x = zoo.conv(x, 6, **kwargs)
    return layers.Dense(3)(layers.Dense(4)(layers.Flatten()(x)))


@images
def infinite_at_zero(x):
    x = 1.0 / (zoo.conv_bn(x, 6) + 1.0)
    x = ops.log(ops.abs(zoo.conv(x, 5)) + 0.5)
    x = ops.rsqrt(ops.square(zoo.conv(x, 4)))
    x = zoo.conv_bn(x, 5) / (zoo.conv_bn(x, 5) + 2.0)
    return zoo.head(ops.softmax(zoo.conv(x, 5)) + ops.exp(zoo.conv(x, 5)))


@images
def tied_by_flatten(x):
    x = layers.MaxPooling2D(4)(zoo.conv_bn(x, 6))
    y = layers.Dense(24)(layers.GlobalAveragePooling2D()(x))
    return layers.Dense(3)(layers.Flatten()(x) + y)


@images
def many_paddings(x):
    x = ops.pad(zoo.conv_bn(x, 4), ((0, 0), (1, 1), (0, 2), (1, 1)))
    x = x + zoo.conv_bn(x, 6)
    x = ops.pad(zoo.conv(x, 4), [(0, 0), (0, 0), (0, 0), (0, 2)], "reflect")
    x = ops.pad(zoo.conv(x, 4), ((0, 0), (1, 1), (0, 0), (0, 0)), "symmetric")
    x = ops.pad(zoo.conv(x, 4), ((0, 0),) * 3 + ((2, 0),), "constant", 2.0)
    x = ops.pad(zoo.conv(x, 4), ((0, 0), (1, 1), (0, 0), (0, 0)), "constant", 3)
    return zoo.head(zoo.conv(x, 5))


@images
def padded_twice(x):
    x = zoo.conv_bn(x, 4)
    for filters in (6, 8):
        y = zoo.conv_bn(x, filters)
        x = ops.pad(x, ((0, 0), (0, 0), (0, 0), (1, 1))) + y
    a = ops.pad(zoo.conv_bn(x, 2), ((0, 0), (0, 0), (0, 0), (0, 2)))
    b = ops.pad(zoo.conv_bn(x, 2), ((0, 0), (0, 0), (0, 0), (2, 0)))
    return zoo.head(zoo.conv(layers.Concatenate()([a + b, a * b, x]), 5))


@images
def moved_axes(x):
    x = ops.moveaxis(zoo.conv_bn(x, 6), -1, 1)
    x = ops.swapaxes(x, 1, 3)
    x = zoo.conv(ops.transpose(x, (0, 2, 1, 3)), 5)
    x = ops.squeeze(ops.mean(x, (1, 2), keepdims=True), 1)
    return layers.Dense(3)(ops.expand_dims(ops.tile(x, (1, 2, 1)), -2))


@images
def frozen_layers(x):
    norm = layers.BatchNormalization(trainable=False)
    x = norm(layers.Conv2D(6, 3, trainable=False)(x))
    norm = layers.BatchNormalization()
    return zoo.head(zoo.conv(norm(zoo.conv(x, 5), training=False), 4))


@images
def softmax_inside(x):
    x = zoo.conv(x, 6, activation="softmax")
    x = layers.Dense(5, activation="log_softmax")(zoo.conv(x, 4))
    return zoo.head(layers.Softmax(axis=1)(zoo.conv(x, 4)))


@images
def dense_of_tensor(x):
    x = layers.Dense(6, activation="sigmoid")(zoo.conv_bn(x, 5))
    x = layers.Conv2D(12, 3, groups=3, activation="sigmoid")(x)
    x = layers.Conv2D(6, 1, groups=6, dilation_rate=2)(x[..., 3:9])
    return zoo.head(layers.Conv2D(6, 1, groups=2)(x))


@images
def spread_channels(x):
    x = zoo.conv_bn(x, 6)
    x = zoo.conv_bn(x + zoo.conv(x, 1), 5)
    x = zoo.conv_bn(layers.Maximum()([x, zoo.conv(x, 1)]), 5)
    x = zoo.conv_bn(ops.where(zoo.conv(x, 1) > 1.0, 0.5, x), 5)
    return zoo.head(zoo.conv_bn(-ops.minimum(x, -zoo.conv(x, 1)), 4))


@images
def negative_axes(x):
    x = ops.transpose(zoo.conv_bn(x, 6), (0, -1, 1, 2))
    x = ops.transpose(x, (-4, 2, -1, 1))
    x = ops.softmax(zoo.conv(x, 5), axis=-2)
    x = ops.squeeze(ops.max(zoo.conv(x, 4), axis=(1, -2), keepdims=True), -2)
    return layers.Dense(3)(ops.expand_dims(x, -2))


@images
def examples_in_the_batch(x):
    x = ops.reshape(zoo.conv_bn(x, 6), (-1, 8, 6))
    x = layers.Conv1D(5, 3, activation="relu")(x)
    x = ops.reshape(layers.Dense(4)(x), (-1, 4))
    return layers.Dense(3)(layers.Dense(4)(x))


@images
def batch_moved_to_unknown_sizes(x):
    x = ops.relu(ops.expand_dims(zoo.conv_bn(x, 6), 0))
    x = zoo.conv(ops.squeeze(x, 0), 6)
    return zoo.head(zoo.conv(ops.transpose(x, (-3, -4, 2, 3)), 4))


SCALES = np.linspace(-1.0, 2.0, 6, dtype="float32")


@function
def scaled(x):
    return x * SCALES


@function
def shifted(x):
    return ops.relu(x) + SCALES


@function
def numbered(x):
    return x * ops.arange(x.shape[-1], dtype=x.dtype)


@function
def placed(x):
    return x + np.linspace(0, 1, 64, dtype="float32").reshape(8, 8, 1)


@function
def scaled_first(x):
    return x * SCALES[:, None, None]


@images
def functions_of_places(x):
    x = layers.Activation(scaled)(zoo.conv_bn(x, 6))
    x = layers.Activation(numbered)(zoo.conv(x, 6, activation=shifted))
    x = layers.Activation(placed)(zoo.conv(x, 5))
    shared = layers.Activation(shifted)
    x = shared(zoo.conv(shared(zoo.conv(x, 6)), 6))
    return zoo.head(zoo.conv(x, 4))


@model
def functions_of_channels_first():
    inputs = keras.Input((3, 8, 8))
    kwargs = {"data_format": "channels_first", "padding": "same"}
    x = layers.Conv2D(8, 3, activation="softmax", **kwargs)(inputs)
    x = layers.Conv2D(6, 3, activation=scaled_first, **kwargs)(x)
    x = layers.Activation(scaled_first)(layers.Conv2D(6, 3, **kwargs)(x))
    x = ops.log_softmax(layers.Conv2D(5, 3, **kwargs)(x), axis=-1)
    x = ops.softmax(layers.Conv2D(5, 3, **kwargs)(x), axis=1)
    x = layers.Conv2D(4, 3, **kwargs)(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


@images
def softmax_of_moved_channels(x):
    x = layers.Permute((3, 1, 2))(zoo.conv(x, 6))  # [batch, 6, 8, 8]
    x = layers.Permute((2, 3, 1))(ops.softmax(x, axis=1))
    x = layers.Permute((3, 1, 2))(zoo.conv(x, 5))
    x = layers.Permute((2, 3, 1))(ops.softmax(x, axis=-1))
    x = layers.Permute((2, 3, 1))(zoo.conv(x, 5))
    x = layers.Permute((3, 1, 2))(layers.Softmax(axis=-1)(x))
    x = layers.Permute((3, 1, 2))(zoo.conv(x, 5))
    x = layers.Permute((2, 3, 1))(layers.Softmax(axis=(2, 3))(x))
    return zoo.head(ops.log_softmax(zoo.conv(x, 4), axis=2))


@images
def reductions(x):
    x = ops.max(zoo.conv(x, 6), axis=1, initial=0.5)
    x = ops.tanh(layers.Conv1D(5, 3)(x))
    x = ops.prod(x, axis=1, keepdims=True) + ops.min(x, 1, True, initial=-0.5)
    x = layers.Conv1D(5, 1)(x + ops.logsumexp(layers.Conv1D(5, 1)(x), 1, True))
    y = layers.Conv1D(4, 1)(x)
    y = ops.std(y, axis=1) + ops.var(y, axis=(1,)) + ops.sum(y, -2)
    z = ops.prod(ops.tanh(layers.Conv1D(4, 1)(x)), axis=(1, 2), keepdims=True)
    return layers.Dense(3)(layers.Dense(4)(y * z[:, 0]))


@images
def dropout_of_shapes(x):
    x = layers.Dropout(0.5, noise_shape=(None, 1, 1, 6))(zoo.conv_bn(x, 6))
    x = layers.Dropout(0.5, noise_shape=(None, 8, 8, 1))(zoo.conv_bn(x, 5))
    x = layers.AlphaDropout(0.5, noise_shape=(None, 1, None, 5))(zoo.conv(x, 5))
    return zoo.head(zoo.conv(x, 4))


@images
def comparisons(x):
    x, y = zoo.conv_bn(x, 6), zoo.conv_bn(x, 6)
    x = zoo.conv_bn(ops.where(x > y, x, 0.5), 5)
    x = zoo.conv_bn(ops.where(x >= 1.0, SCALES[:5], x), 5)
    return zoo.head(zoo.conv(x * ops.cast(x > 1.0, "float32"), 4))


def built(name):
    """Returns one of `MODELS` with random weights."""
    network = MODELS[name]()
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if weight.name not in ("mean", "variance", "count"):  # of the data
            weight.assign(rng.uniform(0.1, 0.9, weight.shape))
    return network
