"""Diagonal second derivatives of the losses, layer by layer.

Those of the loss to the outputs are exact; on the way back each layer squares
its derivatives, and what lies off the diagonal or is the curvature of an
activation is left out (LeCun, Denker and Solla, 1990, Optimal Brain Damage).
"""

import collections
from typing import NamedTuple

import keras
from keras import ops
from keras import tree
import tensorflow as tf

from tfprune import program
from tfprune.layers import channel_mask


class Diagonals(NamedTuple):
    """Second derivatives of the loss of each example to itself.

    Attributes:
        outputs: {path: a tensor for each call, as its output}.
        variables: {id of a variable: their sum over the examples}.
    """

    outputs: dict
    variables: dict


def diagonals(code, inputs, labels, loss_fn):
    """Returns the `Diagonals` of a model in inference mode.

    Args:
        code: The `Program` of the model.
        inputs: A tensor for each of its inputs.
        labels: Their labels.
        loss_fn: Function `(labels, outputs)` to one loss per example.

    Raises:
        ValueError: If there is no rule for a layer that the losses depend on;
            names it.
    """
    values = program.infer(code, inputs)
    second = collections.defaultdict(float)  # by `id` of the tensor
    second.update(_of_losses(code, values, labels, loss_fn))
    outputs, variables = collections.defaultdict(list), {}
    for call in reversed(code.calls):
        found = [second.get(id(x)) for x in call.outputs]
        if all(x is None for x in found):
            continue
        outputs[call.path].insert(0, found[0])
        back = _Step(call, values, found[0])
        for tensor, share in back.inputs():
            second[id(tensor)] += share
        for variable, share in back.variables():
            variables[id(variable)] = variables.get(id(variable), 0.0) + share
    return Diagonals(dict(outputs), variables)


class _Step:
    """One call on the way back.

    Args:
        call: The `Call`.
        values: {id of a tensor: its value}.
        second: Second derivatives to its output.
    """

    def __init__(self, call, values, second):
        layer = call.layer
        if isinstance(layer, channel_mask.ChannelMask):
            second = second * tf.cast(layer.mask, second.dtype)
            layer = layer.layer
        if getattr(layer, "activation", None) in _NORMALISING:
            raise ValueError(
                "Second derivatives must be to the logits. Received: "
                f"{call.path!r}, which ends in {layer.activation.__name__}. "
                "Leave that to the loss."
            )
        self._call = call
        self._layer = layer
        self._values = values
        self._kernel = _kernel_of(layer)
        self._second = second
        if self._kernel is not None:
            self._second = second * tf.square(self._slope())

    def inputs(self):
        """Yields the symbolic inputs, and second derivatives to them."""
        tensors = list({id(x): x for x in self._call.inputs}.values())
        xs = [tf.cast(self._values[id(x)], tf.float32) for x in tensors]
        if self._kernel is not None:
            squared = tf.square(_value(self._layer, self._kernel))
            shares = _vjp(lambda x: self._product(x, squared), xs, self._second)
        elif program.keras_name(self._layer) in _SCALES:
            scale = _SCALES[program.keras_name(self._layer)](self._layer, *xs)
            shares = _vjp(self._run, xs, self._second * scale)
        elif program.keras_name(self._layer) in _COPIES:
            shares = _vjp(self._run, xs, self._second)
            if program.keras_name(self._layer) == "Add":
                # A tensor that is added n times makes n ** 2 of it.
                times = collections.Counter(map(id, self._call.inputs))
                shares = [
                    share * times[id(x)] for x, share in zip(tensors, shares)
                ]
        elif program.keras_name(self._layer) in _ELEMENTWISE:
            slopes = _vjp(self._run, xs, tf.ones_like(self._second))
            shares = [tf.square(slope) * self._second for slope in slopes]
        else:
            raise ValueError(
                "Second derivatives must pass every layer between the units "
                f"and the losses. Received: {self._call.path!r} of type "
                f"{type(self._layer).__name__}, for which there is no rule. "
                "Use a criterion of first derivatives."
            )
        yield from zip(tensors, shares, strict=True)

    def variables(self):
        """Yields the kernel and the bias, and second derivatives to them."""
        if self._kernel is None:
            return
        (tensor,) = self._call.inputs
        squared = tf.square(tf.cast(self._values[id(tensor)], tf.float32))
        kernel = _value(self._layer, self._kernel)
        (share,) = _vjp(
            lambda k: self._product(squared, k), [kernel], self._second
        )
        yield getattr(self._layer, self._kernel), share
        if self._layer.bias is not None:
            axes = list(range(self._second.shape.rank - 1))
            yield self._layer.bias, tf.reduce_sum(self._second, axes)

    def _slope(self):
        """Returns the derivative of the activation that ends the layer."""
        (tensor,) = self._call.inputs
        x = tf.cast(self._values[id(tensor)], tf.float32)
        before = self._product(x, _value(self._layer, self._kernel))
        if self._layer.bias is not None:
            before += tf.cast(self._layer.bias, tf.float32)
        ones = tf.ones_like(before)
        return _vjp(self._layer.activation, [before], ones)[0]

    def _product(self, x, kernel):
        """Returns the kernel's part of the layer."""
        layer = self._layer
        if program.keras_name(layer) == "Dense":
            return ops.matmul(x, kernel)
        depthwise = program.keras_name(layer) == "DepthwiseConv2D"
        convolve = ops.depthwise_conv if depthwise else ops.conv
        padding = layer.padding
        if padding == "causal":
            before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
            x, padding = tf.pad(x, [[0, 0], [before, 0], [0, 0]]), "valid"
        return convolve(
            x,
            kernel,
            strides=layer.strides,
            padding=padding,
            data_format=layer.data_format,
            dilation_rate=layer.dilation_rate,
        )

    def _run(self, *xs):
        """Returns the output of the layer for other values of its inputs."""
        values = dict(zip(dict.fromkeys(map(id, self._call.inputs)), xs))
        args, kwargs = tree.map_structure(
            lambda x: values.get(id(x), x),
            (self._call.args, self._call.kwargs),
        )
        kwargs = {k: v for k, v in kwargs.items() if k != "mask"}
        return tf.cast(self._layer(*args, **kwargs), tf.float32)


def _of_losses(code, values, labels, loss_fn):
    """Yields the `id` of each output, and second derivatives to it."""
    tensors = tree.flatten(code.outputs)
    for place, tensor in enumerate(tensors):
        outputs = [tf.cast(values[id(x)], tf.float32) for x in tensors]
        shape = tf.shape(outputs[place])
        nothing = tf.zeros_like(outputs[place])

        def along(
            number, place=place, outputs=outputs, shape=shape, nothing=nothing
        ):
            with tf.GradientTape() as outer:
                outer.watch(outputs[place])
                with tf.GradientTape() as inner:
                    inner.watch(outputs[place])
                    nest = tree.pack_sequence_as(code.outputs, outputs)
                    losses = tf.reduce_sum(loss_fn(labels, nest))
                first = inner.gradient(losses, outputs[place])
                if first is None:
                    return _rows(nothing)[:, number]
                of_one = _rows(first)[:, number]
            found = outer.gradient(of_one, outputs[place])
            return _rows(nothing if found is None else found)[:, number]

        parts = tf.map_fn(
            along,
            tf.range(tf.reduce_prod(shape[1:])),
            fn_output_signature=tf.float32,
        )  # [numbers of an output, batch]
        yield id(tensor), tf.reshape(tf.transpose(parts), shape)


def _rows(x):
    """Returns a tensor as [batch, numbers of an example]."""
    return tf.reshape(x, [tf.shape(x)[0], tf.reduce_prod(tf.shape(x)[1:])])


def _vjp(function, xs, second):
    """Returns the derivatives of `function(*xs)` times `second`, to each."""
    with tf.GradientTape() as tape:
        tape.watch(xs)
        y = function(*xs)
    return tape.gradient(
        y, xs, second, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )


def _value(layer, name):
    return tf.cast(getattr(layer, name), tf.float32)


def _kernel_of(layer):
    """Returns the name of a kernel that has a rule here, or None."""
    first = getattr(layer, "data_format", None) == "channels_first"
    return None if first else _KERNELS.get(program.keras_name(layer))


def _positions(layer, x):
    """Returns how many positions a pooling sees on each axis."""
    first = layer.data_format == "channels_first"
    return tf.shape(x)[2:] if first else tf.shape(x)[1:-1]


def _of_mean(layer, x):
    """Returns the share of each position in the mean, 1 / positions."""
    return 1.0 / tf.cast(tf.reduce_prod(_positions(layer, x)), tf.float32)


def _of_window(layer, x):
    """Returns the share of each position in its window, [1, ..., 1]."""
    ones = tf.ones(tf.concat([[1], _positions(layer, x), [1]], 0))
    kernel = tf.ones([*layer.pool_size, 1, 1])
    counts = ops.conv(ones, kernel, list(layer.strides), layer.padding)
    if layer.data_format == "channels_first":
        counts = tf.expand_dims(counts[..., 0], 1)
    return 1.0 / counts


def _of_scale(layer, x):
    """Returns what batch normalisation multiplies channels by."""
    scale = tf.math.rsqrt(_value(layer, "moving_variance") + layer.epsilon)
    if layer.gamma is not None:
        scale *= _value(layer, "gamma")
    shape = [1] * x.shape.rank
    shape[layer.axis] = -1
    return tf.reshape(scale, shape)


_NORMALISING = (keras.activations.softmax, keras.activations.log_softmax)
_KERNELS = {"Dense": "kernel", "DepthwiseConv2D": "kernel"} | dict.fromkeys(
    ("Conv1D", "Conv2D", "Conv3D"), "kernel"
)
# Layers of which one derivative is squared: what it is.
_SCALES = {
    "BatchNormalization": _of_scale,
    "AveragePooling1D": _of_window,
    "AveragePooling2D": _of_window,
    "GlobalAveragePooling1D": _of_mean,
    "GlobalAveragePooling2D": _of_mean,
}
# Layers and operations whose derivatives are 0 or 1.
_COPIES = set(
    "Add Concatenate Cropping1D Cropping2D Dropout Flatten "
    "GlobalMaxPooling1D GlobalMaxPooling2D Identity InputLayer MaxPooling1D "
    "MaxPooling2D Pad Permute RepeatVector Reshape SpatialDropout2D Transpose "
    "ZeroPadding1D ZeroPadding2D".split()
)
_ELEMENTWISE = set(
    "Activation ELU Elu Gelu LeakyReLU PReLU ReLU Relu Relu6 Sigmoid Silu Tanh"
    .split()
)
