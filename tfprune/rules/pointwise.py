"""Rules of the layers that keep channels apart."""

from keras import layers
import numpy as np
import tensorflow as tf

from tfprune.rules import base


class Pointwise(base.Rule):
    """A layer that treats every channel of every position alike."""

    pointwise = True
    passes = True

    def outputs(self, node):
        return [node.inputs[0]]

    def leaks(self, node):
        return False


class Spatial(Pointwise):
    """Pooling, padding, cropping, upsampling: mixes positions, not channels."""

    def outputs(self, node):
        axis = channel_axis(node.layer)
        return [node.along(node.channels(axis), axis)]


class Dropout(Pointwise):
    """Dropout, whose `noise_shape` may hold how many channels there are."""

    def config(self, node, kept):
        shape = getattr(node.layer, "noise_shape", None)
        if shape is None:
            return {}
        shape, units = list(shape), node.outputs[0]
        for axis in range(-units.ndim, 0):
            if units.shape[axis] > 1 and shape[axis] not in (None, 1):
                shape[axis] = kept(node.channels(axis))
        return {"noise_shape": tuple(shape)}


class Noise(Dropout):
    """A layer that adds noise in training, to masked channels as well."""

    def leaks(self, node):
        return True


class Activation(Pointwise):
    """A function, layer or operation; frozen if channels are not alike."""

    def outputs(self, node):
        units, function = node.inputs[0], _function(node)
        for axis in np.flatnonzero(np.array(units.shape) > 1):
            reason = obstacle(function, units.ndim, axis)
            if reason:
                return [node.freeze(units, reason)]
        if not maskable(_at_zero(node)):
            node.freeze(units, base.NO_RULE)
        return [units]

    def leaks(self, node):
        return bool(np.any(_at_zero(node)))


def channel_axis(layer):
    """Returns the axis of a layer's channels, the batch not counted."""
    first = getattr(layer, "data_format", None) == "channels_first"
    return 0 if first else -1


def obstacle(function, rank, axis):
    """Returns why a function does not treat all channels alike, or None.

    Args:
        function: Function of a tensor with a batch.
        rank: How many axes an example has.
        axis: Which one is that of the channels.
    """
    axis = axis % rank + 1

    def at(place, *channels):
        shape = [1] * (rank + 1)
        shape[axis] = len(channels)
        values = np.asarray(function(tf.reshape(channels, shape)))
        if values.ndim != len(shape) or values.shape[axis] != len(channels):
            return np.nan
        return values.take(place, axis).flat[0]

    try:  # One example at a time, for a function may mix those of a batch.
        same = [at(0, 1.0, -2.0), at(0, 1.0, 3.0), at(1, -2.0, 1.0)]
        same.append(at(2, 3.0, -2.0, 1.0))
    except Exception:  # Whatever it raises, it cannot take other widths.
        return base.SHAPE
    return None if np.allclose(same, same[0]) else base.NORMALISED


def maskable(values):
    """Whether zeros in place of some of `values` are numbers again."""
    return np.isfinite(values).all() and not (
        values.dtype == bool and values.any()
    )


def _at_zero(node):
    """Returns the outputs at zero of two channels; NaN if that is no width."""
    lengths = zip(node.inputs[0].shape, node.input_shapes[0])
    shape = [2 if units > 1 else length or 2 for units, length in lengths]
    try:
        return np.asarray(_function(node)(tf.zeros([1, *shape])))
    except Exception:  # As in `obstacle`.
        return np.array(np.nan)


def _function(node):
    return getattr(node.layer, "activation", node.layer.call)


for _kind in (
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
base.register_rule(layers.Dropout, Dropout())
base.register_operations("StochasticDepth", Pointwise())
base.register_operations(
    "Abs Absolute Arccos Arccosh Arcsin Arcsinh Arctan Arctanh Cast Cbrt Ceil "
    "Celu Clip Copy Cos Cosh Deg2rad Elu Erf Erfc Erfinv Exp Exp2 Expm1 Fabs "
    "Floor Gelu HardShrink HardSigmoid HardSilu HardTanh I0 Isfinite Isinf "
    "Isnan LeakyRelu Log Log10 Log1p Log2 LogSigmoid LogSoftmax LogicalNot "
    "NanToNum Negative OnesLike Rad2deg ReLU Reciprocal Relu Relu6 Round "
    "Rsqrt Selu Sigmoid Sign Signbit Silu Sin Sinc Sinh SoftShrink Softmax "
    "Softplus Softsign SparsePlus SparseSigmoid Sparsemax Sqrt Square "
    "Squareplus StopGradient Tan Tanh TanhShrink Threshold Trunc ZerosLike",
    Activation(),
)
