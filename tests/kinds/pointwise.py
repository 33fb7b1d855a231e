"""Kinds of node that keep channels apart, or that no rule covers."""

import math

import keras
from keras import layers
from keras import ops
import numpy as np

from tests import zoo
from tests.kinds import base


@base.kind(base.ANY, center=(False, True), scale=(True, False))
def batch_norm(x, **settings):
    return layers.BatchNormalization(**settings)(x)


@base.kind(base.ANY)
def relu(x):
    return layers.ReLU()(x)


@base.kind(
    base.ANY,
    name=(
        *("relu", "sigmoid", "tanh", "gelu", "elu", "softplus", "silu"),
        *("hard_sigmoid", "relu6", "softmax", "log_softmax"),
    ),
)
def activation(x, name):
    return layers.Activation(name)(x)


@base.kind(
    base.ANY,
    name=("tanh", "abs", "negative", "sin", "cos", "sigmoid"),
)
def unary_operation(x, name):
    return getattr(ops, name)(x)


@base.kind(base.ANY)
def leaky_relu(x):
    return layers.LeakyReLU()(x)


@base.kind(base.ANY, by_position=(False, True))
def prelu(x, by_position):
    shared = None if by_position else list(range(1, len(x.shape) - 1))
    return layers.PReLU(shared_axes=shared)(x)


@base.kind(base.ANY)
def dropout(x):
    return layers.Dropout(0.5)(x)


@base.kind(base.ANY)
def gaussian_noise(x):
    return layers.GaussianNoise(0.5)(x)


@base.kind(base.ANY, scale=(False, True))
def layer_norm(x, scale):
    return layers.LayerNormalization(scale=scale)(x)


@base.kind(base.IMAGE, groups=(1, 2, 3, 100))
def group_norm(x, groups):
    channels = x.shape[-1]
    groups = channels if groups > channels else math.gcd(groups, channels)
    return layers.GroupNormalization(groups)(x)


@base.kind(base.ANY)
def unit_norm(x):
    return layers.UnitNormalization()(x)


@base.kind(base.ANY, by_channel=(False, True))
def rescaling(x, by_channel):
    scale = np.linspace(0.5, 1.5, x.shape[-1]).tolist() if by_channel else 0.5
    return layers.Rescaling(scale, offset=0.5)(x)


@base.kind(base.ANY)
def normalization(x):
    mean = np.linspace(-0.5, 0.5, x.shape[-1]).tolist()
    variance = [1.5] * x.shape[-1]
    return layers.Normalization(mean=mean, variance=variance)(x)


@base.kind(base.ANY, first=(False, True))
def number(x, first):
    return 2.0 - x if first else x + 1.0


@base.kind(base.ANY, name=("multiply", "add"))
def row_of_numbers(x, name):
    row = np.linspace(0.5, 1.5, x.shape[-1], dtype="float32")
    return getattr(ops, name)(x, row)


@base.kind(
    base.IMAGE,
    name=("MaxPooling2D", "AveragePooling2D"),
    strides=(1, 2),
)
def pooling(x, name, strides):
    return getattr(layers, name)(2, strides, padding="same")(x)


@base.kind(base.SEQUENCE, name=("MaxPooling1D", "AveragePooling1D"))
def pooling_1d(x, name):
    return getattr(layers, name)(2, padding="same")(x)


@base.kind(base.IMAGE)
def up_sampling(x):
    return layers.UpSampling2D()(x)


@base.kind(base.IMAGE)
def zero_padding(x):
    return layers.ZeroPadding2D(((1, 0), (0, 1)))(x)


@base.kind(base.IMAGE)
def cropping(x):
    rows, columns = (int(length > 1) for length in x.shape[1:3])
    return layers.Cropping2D(((rows, 0), (0, columns)))(x)


@base.kind(base.ANY)
def without_rule(x):
    return zoo.Unruled()(x)


@keras.saving.register_keras_serializable(package="tests")
def doubled_backwards(x):
    return x[..., ::-1] * 2


@base.kind(base.ANY)
def function(x):
    return layers.Lambda(doubled_backwards)(x)
