"""Multiply-accumulates of a model, counted while it runs on one example."""

import contextlib
import functools
import math
import operator
from unittest import mock

from keras import layers

KERNELS = {
    layers.Dense: ["kernel"],
    layers.EinsumDense: ["kernel"],
    layers.LSTM: ["cell.kernel", "cell.recurrent_kernel"],
    layers.GRU: ["cell.kernel", "cell.recurrent_kernel"],
    layers.SimpleRNN: ["cell.kernel", "cell.recurrent_kernel"],
    layers.Conv1D: ["kernel"],
    layers.Conv2D: ["kernel"],
    layers.Conv3D: ["kernel"],
    layers.Conv1DTranspose: ["kernel"],
    layers.Conv2DTranspose: ["kernel"],
    layers.Conv3DTranspose: ["kernel"],
    layers.DepthwiseConv1D: ["kernel"],
    layers.DepthwiseConv2D: ["kernel"],
    layers.SeparableConv1D: ["depthwise_kernel", "pointwise_kernel"],
    layers.SeparableConv2D: ["depthwise_kernel", "pointwise_kernel"],
}


def macs(model, inputs):
    """Returns the multiply-accumulates of the calls that a model really makes.

    Args:
        model: A plain `keras.Model`.
        inputs: Its inputs, of one example.
    """
    counts = []
    with contextlib.ExitStack() as stack:
        for kind, names in KERNELS.items():
            call = _counted(kind.call, names, counts)
            stack.enter_context(mock.patch.object(kind, "call", call))
        model(inputs, training=False)
    return sum(counts)


def _counted(original, names, counts):
    @functools.wraps(original)
    def call(layer, x, *args, **kwargs):
        outputs = original(layer, x, *args, **kwargs)
        if isinstance(layer, layers.EinsumDense):
            counts.append(_terms(layer.equation, x, layer.kernel))
            return outputs
        # A transposed convolution spreads every place of its input, and a
        # recurrent layer steps through them.
        kind = type(layer).__name__
        of_input = hasattr(layer, "cell") or kind.endswith("Transpose")
        tensor = x if of_input else outputs
        places = list(tensor.shape[1:])
        first = getattr(layer, "data_format", None) == "channels_first"
        places.pop(0 if first else -1)
        kernels = (operator.attrgetter(name)(layer) for name in names)
        entries = (math.prod(kernel.shape) for kernel in kernels)
        counts.append(sum(entries) * math.prod(places))
        return outputs

    return call


def _terms(equation, *tensors):
    """Returns the products that an equation adds up."""
    lengths = {}
    for spec, tensor in zip(equation.split("->")[0].split(","), tensors):
        letters = spec.replace("...", "." * (len(tensor.shape) - len(spec) + 3))
        lengths |= {
            (place if letter == "." else letter): length
            for place, (letter, length) in enumerate(zip(letters, tensor.shape))
        }
    return math.prod(lengths.values())
