"""Small networks, one for each way that channels are tied together."""

import collections

import keras
from keras import layers
from keras import ops
import numpy as np

from tfprune import masking
from tfprune import tracing


def conv(x, filters, size=3, **kwargs):
    return layers.Conv2D(filters, size, padding="same", **kwargs)(x)


def conv_bn(x, filters, **kwargs):
    x = layers.BatchNormalization()(conv(x, filters, use_bias=False, **kwargs))
    return layers.ReLU()(x)


def head(x, classes=3):
    return layers.Dense(classes)(layers.GlobalAveragePooling2D()(x))


def images(body, shape=(8, 8, 3)):
    """Returns a function that builds a model of `body` on images."""

    def build():
        inputs = keras.Input(shape)
        return keras.Model(inputs, body(inputs))

    return build


@images
def plain(x):
    x = conv(conv(x, 6, activation="relu"), 5)
    return layers.Dense(3)(layers.Flatten()(layers.MaxPooling2D()(x)))


@images
def leaky_activations(x):
    x = layers.Activation("sigmoid")(conv_bn(x, 6))
    x = ops.softplus(conv(x, 5, activation="sigmoid"))
    return head(layers.LeakyReLU()(layers.PReLU(shared_axes=[1, 2])(x)))


@images
def residual_identity(x):
    x = conv_bn(x, 6)
    for _ in range(2):
        y = layers.BatchNormalization()(conv(conv_bn(x, 5), 6))
        x = layers.ReLU()(layers.Add()([x, y]))
    return head(x)


@images
def residual_projection(x):
    x = conv_bn(x, 4)
    y = layers.BatchNormalization()(conv(conv_bn(x, 5, strides=2), 6))
    x = layers.BatchNormalization()(conv(x, 6, size=1, strides=2))
    return layers.Dense(3)(layers.Flatten()(layers.ReLU()(x + y)))


@images
def residual_padded(x):
    x = conv_bn(x, 4)
    y = layers.BatchNormalization()(conv(conv_bn(x, 5, strides=2), 8))
    x = ops.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (2, 2)))
    x = layers.ReLU()(x + y)
    return head(conv_bn(x, 5))


@images
def zeros_without_unit(x):
    x = ops.pad(conv_bn(x, 4), ((0, 0), (0, 0), (0, 0), (1, 2)))
    return head(conv_bn(layers.BatchNormalization()(x), 5))


@images
def preactivation(x):
    x = conv(x, 6)
    for _ in range(2):
        y = layers.ReLU()(layers.BatchNormalization()(x))
        x = x + conv(conv_bn(y, 5), 6)
    return head(layers.ReLU()(layers.BatchNormalization()(x)))


@images
def dense_concat(x):
    x = conv_bn(x, 4)
    for _ in range(2):
        x = layers.Concatenate()([x, conv_bn(x, 3)])
    x = layers.BatchNormalization()(x)
    return layers.Dense(3)(layers.Flatten()(x))


@images
def depthwise_separable(x):
    x = layers.DepthwiseConv2D(3, depth_multiplier=2)(conv_bn(x, 4))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.SeparableConv2D(6, 3, depth_multiplier=2)(x)
    return head(layers.BatchNormalization()(x))


@images
def squeeze_and_excite(x):
    x = conv_bn(x, 6)
    s = layers.GlobalAveragePooling2D()(x)
    s = layers.Dense(4, activation="relu")(layers.Reshape((1, 1, 6))(s))
    s = layers.Dense(6, activation="sigmoid")(s)
    return head(conv_bn(layers.Multiply()([x, s]), 4))


@images
def spatial_attention(x):
    x = conv_bn(x, 6)
    return head(x * conv(x, 1, activation="sigmoid"))


@images
def grouped(x):
    x = conv_bn(conv_bn(x, 8), 12, groups=4)
    return head(conv_bn(conv(x, 24, groups=12), 5))


@images
def transposed(x):
    x = layers.Conv2DTranspose(6, 3, strides=2, padding="same")(conv_bn(x, 5))
    x = layers.UpSampling2D()(layers.ReLU()(x))
    return conv(layers.Cropping2D(1)(layers.ZeroPadding2D(1)(x)), 2)


@images
def permuted(x):
    x = layers.Permute((3, 1, 2))(conv_bn(x, 6))
    x = layers.Reshape((6, 64))(x)
    x = layers.Flatten()(ops.transpose(x, (0, 2, 1)))
    return layers.Dense(3)(x)


@images
def split_over_axes(x):
    x = layers.Dense(24, activation="relu")(layers.Flatten()(x))
    x = conv(layers.Reshape((2, 2, 6))(x), 5)
    return layers.Dense(3)(ops.expand_dims(ops.mean(x, axis=(1, 2)), 1))


@images
def sliced(x):
    x = conv_bn(x, 8)
    return head(conv(x[..., :3] * x[..., 3:6], 4) + conv(x[:, :, :, -2:], 4))


@images
def constants(x):
    x = conv_bn(layers.Rescaling(1 / 127.5, offset=-1)(x), 6)
    x = conv(x * np.arange(1.0, 7.0, dtype="float32") + 1.0, 5)
    return head(abs(-x / 2 - np.ones((5,), "float32")))


@images
def branches(x):
    x = conv_bn(x, 6)
    parts = [
        conv_bn(x, 4, size=1),
        conv_bn(conv_bn(x, 3), 5),
        conv(layers.AveragePooling2D(3, 1, padding="same")(x), 2),
    ]
    x = layers.Concatenate()(parts)
    a, b, c = conv(x, 4), conv(x, 4), conv(x, 4)
    x = layers.Average()([layers.Maximum()([a, b]), c])
    return head(layers.Dropout(0.2)(x))


@images
def normalised(x):
    x = layers.LayerNormalization()(conv(x, 6))
    x = layers.Activation("softmax")(conv(conv(x, 5), 4))
    return head(conv_bn(x, 5))


@images
def two_outputs(x):
    x = conv_bn(x, 6)
    y = conv_bn(x, 5)
    return [head(x, 2), layers.Flatten()(conv(y, 2)), y]


def two_inputs():
    a, b = keras.Input((8, 8, 3)), keras.Input((5,))
    x = conv_bn(a, 6)
    s = layers.Dense(6, activation="tanh")(layers.Dense(4)(b))
    x = x * layers.Reshape((1, 1, 6))(s)
    return keras.Model([a, b], head(x))


def shared_layer():
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    first = layers.Conv2D(6, 3, padding="same")
    norm = layers.BatchNormalization()
    second = layers.Conv2D(5, 3, activation="relu")
    x, y = (second(norm(first(x))) for x in (a, b))
    return keras.Model([a, b], head(layers.Concatenate()([x, conv(y, 4), x])))


def siamese():
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(6, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(5, 3),
        ],
        name="encoder",
    )
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    return keras.Model([a, b], head(abs(encoder(a) - encoder(b))))


def nested():
    inner = images(lambda x: conv_bn(conv_bn(x, 5), 6) + 1.0, (4, 4, 6))()
    inner.name = "inner"
    inputs = keras.Input((8, 8, 3))
    x = layers.MaxPooling2D()(conv(inputs, 6))
    return keras.Model(inputs, head(layers.BatchNormalization()(inner(x))))


def sequential():
    return keras.Sequential(
        [
            keras.Input((12, 4)),
            layers.Conv1D(6, 3, padding="causal"),
            layers.BatchNormalization(),
            layers.Activation("gelu"),
            layers.SeparableConv1D(5, 3),
            layers.GlobalMaxPooling1D(),
            layers.Dense(7, activation="relu"),
            layers.Dense(2),
        ]
    )


def volumes():
    inputs = keras.Input((4, 4, 4, 2))
    x = layers.Conv3D(5, 2, activation="elu")(inputs)
    x = layers.Conv3DTranspose(4, 2)(layers.ZeroPadding3D(1)(x))
    x = layers.GlobalAveragePooling3D()(layers.MaxPooling3D()(x))
    return keras.Model(inputs, layers.Dense(3)(layers.Dense(6)(x)))


def sequences():
    inputs = keras.Input((10, 3))
    x = layers.Conv1DTranspose(6, 3)(inputs)
    x = layers.DepthwiseConv1D(3)(layers.Dense(5, activation="relu")(x))
    x = layers.Flatten()(layers.Cropping1D(1)(layers.UpSampling1D(2)(x)))
    x = layers.RepeatVector(3)(layers.Dense(4)(x))
    return keras.Model(inputs, layers.Dense(2)(x))


@keras.saving.register_keras_serializable(package="tests")
class Unruled(layers.Layer):
    """A layer that no rule covers."""

    def call(self, x):
        return ops.flip(x, axis=-1)


@images
def unknown_layer(x):
    return head(conv_bn(Unruled()(conv_bn(conv_bn(x, 5), 6)), 4))


NETWORKS = {
    f.__name__: f
    for f in (
        two_inputs,
        shared_layer,
        siamese,
        nested,
        sequential,
        volumes,
        sequences,
    )
} | {
    name: value
    for name, value in list(globals().items())
    if getattr(value, "__qualname__", "") == "images.<locals>.build"
}


def network(name):
    """Returns one of `NETWORKS`, its weights random and its masks visible."""
    model = NETWORKS[name]()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 0.9, weight.shape))
    return model


def check_explanation(graph):
    """Asserts that every channel of every layer is in a group or has a reason.

    What is told of a layer must be what is known of its units, and all groups
    and reasons must be told.
    """
    table = graph.explain()
    paths = dict.fromkeys(path for node in graph.nodes for path in node.arrays)
    first = [row.name for row in table if "(call " not in row.name]
    assert first == [*graph.program.input_names, *paths]
    assert {call.path for call in graph.program.calls} <= set(first)
    for row in table:
        assert row.prunable + sum(row.reasons.values()) == row.channels, row
        if "(call " in row.name:  # of other channels than the first one
            continue
        units = graph.layer_units(row.name)
        units = np.concatenate(units if isinstance(units, list) else [units])
        assert row.channels == len(units), row
        if (units >= 0).all():  # Padding may be in a group without a unit.
            found = collections.Counter(graph.reasons[unit] for unit in units)
            assert row.prunable == found.pop(None, 0), row
            assert row.reasons == found, row
    groups = {name for row in table for name in row.groups}
    assert len(groups) == graph.groups.prunable.sum()
    told = {reason for row in table for reason in row.reasons}
    assert told >= set(graph.reasons) - {None}


def random_keep(graph, seed, share=0.5):
    """Returns a random mask that empties no layer."""
    rng = np.random.default_rng(seed)
    keep = ~graph.prunable | (rng.random(graph.num_units) < share)
    for units in graph.unit_sets:
        if len(units) and not keep[units].any():
            keep[rng.choice(units)] = True
    return keep


def masked_and_reloaded(model, inputs, path):
    """Returns a model masked at random and saved, which proved the same."""
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    keep = random_keep(graph, 0)
    masking.set_mask(masked, graph, keep)
    masked.save(path)
    again = keras.models.load_model(path)
    np.testing.assert_array_equal(masking.get_mask(again, graph), keep)
    np.testing.assert_allclose(again(inputs), masked(inputs), rtol=1e-6)
    return again
