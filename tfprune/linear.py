"""The calls of a model, with its kernels apart from what comes after them.

A convolution or dense product takes the batch normalisation, in inference mode,
and the mask that follow it into its kernel and bias, if nothing else reads what
lies between. An activation inside of the layer becomes a call of its own.
"""

import keras
from keras import layers
import tensorflow as tf

from tfprune import masking
from tfprune import program
from tfprune.layers import channel_mask
from tfprune.rules import base

# Of which a difference is known as well as the numbers themselves.
_PRECISE = "float32", "float64"
# What is linear in its one input, and has no weights.
_PLAIN = frozenset(
    getattr(layers, name)
    for name in """
    AveragePooling1D AveragePooling2D AveragePooling3D Cropping1D Cropping2D
    Cropping3D Flatten GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalAveragePooling3D Identity Permute Reshape UpSampling1D UpSampling2D
    UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """.split()
)


class Linear:
    """A product of inputs and a kernel, to which a bias is added.

    Args:
        layer: A convolution or dense layer, without its mask.

    Attributes:
        kernel: [..., in, out].
        bias: [out], or None.
        axis: The axis of the channels of inputs and outputs.
    """

    def __init__(self, layer):
        self._layer = layer
        self._product = base.rule_for(layer).product(layer)
        self.kernel = tf.convert_to_tensor(layer.kernel)
        self.bias = None
        if layer.bias is not None:
            self.bias = tf.convert_to_tensor(layer.bias)
        self.axis = _axis(layer)

    def scale(self, factor, shift=None):
        """Scales, then shifts, every output channel by numbers, [out]."""
        self.kernel *= factor
        if self.bias is not None:
            self.bias *= factor
        if shift is not None:
            self.bias = shift if self.bias is None else self.bias + shift

    def product(self, x):
        """Returns the outputs without the bias."""
        return self._product(tf.cast(x, self.kernel.dtype), self.kernel)

    def part(self, x, channels):
        """Returns what some input channels add to the outputs.

        Args:
            x: The inputs, of all channels.
            channels: int, [some]; -1 adds nothing.
        """
        there = tf.cast(channels >= 0, self.kernel.dtype)[:, tf.newaxis]
        channels = tf.maximum(channels, 0)
        kernel = tf.gather(self.kernel, channels, axis=-2) * there
        x = tf.cast(tf.gather(x, channels, axis=self.axis), kernel.dtype)
        return self._product(x, kernel)

    def __call__(self, x):
        outputs = self.product(x)
        if self.bias is not None and self.axis == -1:
            outputs = tf.nn.bias_add(outputs, self.bias)
        elif self.bias is not None:
            shape = [1] * outputs.shape.rank
            shape[self.axis] = -1
            outputs += tf.reshape(self.bias, shape)
        if self._layer.supports_masking:
            carry_mask(x, outputs)
        return outputs


class Ending:
    """What a layer does to its outputs last: its activation, and its mask.

    Args:
        layer: The layer, with its mask if it has one.
    """

    def __init__(self, layer):
        self._layer = layer
        self.activation = masking.unwrapped(layer).activation

    def __call__(self, x):
        outputs = self.activation(x)
        if isinstance(self._layer, channel_mask.ChannelMask):
            outputs = self._layer.masked(outputs)
        carry_mask(x, outputs)
        return outputs


def linear_part(call):
    """Returns how a call adds up differences of those inputs that changed.

    Args:
        call: One of `calls`.

    Returns:
        A function of their list; None if the call is not known to be linear, up
        to a constant.
    """
    layer, inputs = call.layer, call.inputs
    if isinstance(layer, Linear):
        return lambda differences: layer.product(*differences)
    if type(layer) in _PLAIN and len(inputs) == 1:
        return lambda differences: layer(*differences)
    (output,) = call.outputs if len(call.outputs) == 1 else (None,)
    alike = output is not None and all(x.shape == output.shape for x in inputs)
    return tf.add_n if _adds(layer) and alike else None


def carry_mask(given, made):
    """Gives a tensor the mask of time steps that Keras gave another, if any."""
    mask = getattr(given, "_keras_mask", None)
    if mask is not None:
        made._keras_mask = mask


def calls(code):
    """Returns the calls of a program that compute the same.

    Those with a `Linear` or an `Ending` for a layer can be called as it is; the
    last call made of one has its path.

    Args:
        code: The `Program` of a model, masked or not.
    """
    readers, found, taken = code.readers(), [], set()
    for call in code.calls:
        if id(call) in taken:
            continue
        if not _is_linear(call):
            found.append(call)
            continue
        layer = masking.unwrapped(call.layer)
        linear = Linear(layer)
        if layer.activation is not keras.activations.linear:
            found += _with_ending(call, linear)
            continue
        norm = _norm_after(call, readers)
        if norm is not None:
            linear.scale(*_scale_and_shift(masking.unwrapped(norm.layer)))
            taken.add(id(norm))
        last = call if norm is None else norm
        if isinstance(last.layer, channel_mask.ChannelMask):
            linear.scale(_row(last.layer))
        found.append(_call(call, last.path, linear, last.outputs))
    return found


def _is_linear(call):
    """Whether a call can be taken apart, and its mask be one of channels."""
    layer = masking.unwrapped(call.layer)
    return (
        base.rule_for(layer).product(layer) is not None
        and len(call.inputs) == 1
        and layer.compute_dtype == layer.variable_dtype
        and layer.compute_dtype in _PRECISE
        and _masks_channels(call, _axis(layer))
    )


def _masks_channels(call, axis):
    """Whether the mask of a call, if any, is one number for each channel."""
    if not isinstance(call.layer, channel_mask.ChannelMask):
        return True
    lengths = list(call.layer.mask_shape)
    del lengths[axis if axis < 0 else axis - 1]
    return all(length == 1 for length in lengths)


def _axis(layer):
    first = getattr(layer, "data_format", None) == "channels_first"
    return 1 if first else -1


def _adds(layer):
    """Whether a layer or operation returns the sum of its arguments."""
    kind = type(layer)
    return kind.__name__ == "Add" and kind.__module__.startswith("keras.")


def _call(call, path, layer, outputs):
    return program.Call(path, layer, tuple(call.inputs), {}, outputs)


def _with_ending(call, linear):
    (output,) = call.outputs
    middle = [keras.KerasTensor(output.shape, output.dtype)]
    first = _call(call, f"{call.path}/product", linear, middle)
    ending = Ending(call.layer)
    return first, program.Call(call.path, ending, (*middle,), {}, call.outputs)


def _norm_after(call, readers):
    """Returns the call of the batch normalisation that alone reads another."""
    after = readers[id(call.outputs[0])]
    if isinstance(call.layer, channel_mask.ChannelMask) or len(after) != 1:
        return None
    if after[0] is None:
        return None
    layer, norm = call.layer, masking.unwrapped(after[0].layer)
    rank = len(call.outputs[0].shape)
    fits = (
        type(norm) is layers.BatchNormalization
        and not after[0].kwargs.get("training")
        and norm.axis % rank == _axis(layer) % rank
        and norm.compute_dtype == norm.variable_dtype == layer.variable_dtype
        and _masks_channels(after[0], _axis(layer))
    )
    return after[0] if fits else None


def _scale_and_shift(norm):
    """Returns what a batch normalisation does in inference mode, [out] each."""
    factor = tf.math.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.scale:
        factor *= norm.gamma
    shift = -norm.moving_mean * factor
    return factor, shift + norm.beta if norm.center else shift


def _row(layer):
    """Returns the mask of a layer, [out] or [1]."""
    return tf.reshape(layer.mask, [-1])
