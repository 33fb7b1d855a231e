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
        units, reason = node.inputs[0], _obstacle(node)
        if reason is None and not maskable(_at_zero(node)):
            reason = base.NO_RULE
        return [node.freeze(units, reason) if reason else units]

    def leaks(self, node):
        return _obstacle(node) is None and bool(np.any(_at_zero(node)))


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

    def of_ones(*examples):
        """Returns what the function makes of the 1 of each example."""
        channels = np.array(examples, "float32")
        shape = [1] * (rank + 1)
        shape[0], shape[axis] = channels.shape
        values = np.asarray(function(tf.reshape(channels, shape)))
        if values.ndim != len(shape) or values.shape[axis] != shape[axis]:
            return [np.nan]
        values = np.moveaxis(values, axis, 1).reshape(*channels.shape, -1)
        return values[channels == 1, 0].tolist()

    try:
        same = of_ones((1, -2), (1, 3), (-2, 1)) + of_ones((3, -2, 1))
    except Exception:  # Whatever it raises, it cannot take other widths.
        return base.SHAPE
    return None if np.allclose(same, same[0]) else base.NORMALISED


def maskable(values):
    """Whether zeros in place of some of `values` are numbers again."""
    return np.isfinite(values).all() and not (
        values.dtype == bool and values.any()
    )


def _obstacle(node):
    """Returns why a node does not treat all channels alike, or None."""
    shape, function = node.inputs[0].shape, _function(node)
    axes = np.flatnonzero(np.array(shape) > 1)
    found = (obstacle(function, len(shape), axis) for axis in axes)
    return next(filter(None, found), None)


def _at_zero(node):
    """Returns the outputs at zero, of one channel since all are alike."""
    lengths = zip(node.inputs[0].shape, node.input_shapes[0])
    shape = [1 if units > 1 else length or 2 for units, length in lengths]
    return np.asarray(_function(node)(tf.zeros([1, *shape])))


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
