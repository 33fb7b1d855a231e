"""Rules of the layers that keep channels apart."""

from keras import layers
import numpy as np
import tensorflow as tf

from tfprune.rules import base


class Pointwise(base.Rule):
    """A layer that treats every channel of every position alike."""

    pointwise = True

    def outputs(self, node):
        return [node.inputs[0]]

    def leaks(self, node):
        return False


class Spatial(Pointwise):
    """Pooling, padding, cropping, upsampling: mixes positions, not channels."""

    def outputs(self, node):
        axis = channel_axis(node.layer)
        return [node.along(node.channels(axis), axis)]


class Noise(Pointwise):
    """A layer that adds noise in training, to masked channels as well."""

    def leaks(self, node):
        return True


class Activation(Pointwise):
    """An activation, layer or operation; frozen if it mixes channels."""

    def outputs(self, node):
        if mixes(_function(node), len(node.input_shapes[0]) + 1):
            node.freeze(node.inputs[0], base.NORMALISED)
        elif not np.isfinite(_at_zero(node)).all():
            node.freeze(node.inputs[0], base.NO_RULE)
        return [node.inputs[0]]

    def leaks(self, node):
        return bool(np.any(_at_zero(node)))


class PReLU(Pointwise):
    """`PReLU`: one slope for each channel, or for each position of it."""

    def axes(self, node):
        units, alpha = node.inputs[0], node.layer.alpha
        return {
            "alpha": tuple(
                node.channels(axis) if units.shape[axis] > 1 < length else None
                for axis, length in enumerate(alpha.shape)
            )
        }


class BatchNormalization(Pointwise):
    """`BatchNormalization` along the axis of the channels."""

    def outputs(self, node):
        units, axis = node.inputs[0], self._axis(node)
        if units.size > units.shape[axis]:
            node.freeze(units, base.NORMALISED)
        return [units]

    def axes(self, node):
        units, axis = node.inputs[0], self._axis(node)
        if units.size > units.shape[axis]:
            return {}
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        return dict.fromkeys(names, (node.channels(axis),))

    def leaks(self, node):
        return True

    def _axis(self, node):
        axis = node.layer.axis
        return axis if axis < 0 else axis - 1


class Normalised(Pointwise):
    """A layer whose statistics run over the channels of an example."""

    pointwise = False

    def outputs(self, node):
        return [node.freeze(node.inputs[0], base.NORMALISED)]

    def leaks(self, node):
        return True


class Rescaling(Pointwise):
    """`Rescaling`: a number for all channels, or one for each."""

    def outputs(self, node):
        if np.ndim(node.layer.scale) or np.ndim(node.layer.offset):
            node.freeze(node.inputs[0], base.SHAPE)
        return [node.inputs[0]]

    def leaks(self, node):
        return bool(np.any(node.layer.offset))


class Normalization(Pointwise):
    """`Normalization` by fixed means and variances, one for each feature."""

    def outputs(self, node):
        return [node.freeze(node.inputs[0], base.SHAPE)]

    def leaks(self, node):
        return True


def channel_axis(layer):
    """Returns the axis of a layer's channels, the batch not counted."""
    first = getattr(layer, "data_format", None) == "channels_first"
    return 0 if first else -1


def mixes(activation, rank):
    """Whether a channel of an activation's output depends on other ones.

    Args:
        activation: Function of a tensor with the channels last.
        rank: How many axes its tensors have, with the batch.
    """
    one, other = (
        activation(tf.reshape([1.0, x], (1,) * (rank - 1) + (2,)))
        for x in (-2.0, 3.0)
    )
    if one.shape.rank != rank or one.shape[-1] != 2:
        return True
    return bool(tf.reshape(one, [-1])[0] != tf.reshape(other, [-1])[0])


def _at_zero(node):
    zeros = tf.zeros((1,) * len(node.input_shapes[0]) + (2,))
    return np.asarray(_function(node)(zeros))


def _function(node):
    return getattr(node.layer, "activation", node.layer.call)


for _kind in (
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.GaussianDropout,
    layers.Identity,
    layers.ActivityRegularization,
):
    base.register_rule(_kind, Pointwise())
for _kind in (
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
):
    base.register_rule(_kind, Spatial())
for _kind in (layers.GaussianNoise, layers.AlphaDropout):
    base.register_rule(_kind, Noise())
for _kind in (
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.ELU,
):
    base.register_rule(_kind, Activation())
for _kind in (
    layers.LayerNormalization,
    layers.RMSNormalization,
    layers.GroupNormalization,
    layers.UnitNormalization,
    layers.Softmax,
):
    base.register_rule(_kind, Normalised())
base.register_rule(layers.PReLU, PReLU())
base.register_rule(layers.BatchNormalization, BatchNormalization())
base.register_rule(layers.Rescaling, Rescaling())
base.register_rule(layers.Normalization, Normalization())
base.register_operations(
    "Abs Absolute Arctan Arcsinh Arcsin Cast Celu Clip Cos Cosh Elu Erf Exp "
    "Expm1 Floor Gelu HardShrink HardSigmoid HardSilu HardTanh LeakyRelu "
    "Log1p LogSigmoid Negative Reciprocal Relu Relu6 Round Rsqrt Selu "
    "Sigmoid Sign Silu Sin Sinh SoftShrink Softplus Softsign SparsePlus "
    "Sqrt Square Tan Tanh TanhShrink Threshold Log Log2 Log10 LogSoftmax "
    "Softmax Sparsemax",
    Activation(),
)
