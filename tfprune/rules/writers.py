"""Rules of the layers that make new channels with a kernel."""

import math

import keras
from keras import layers
import numpy as np

from tfprune.rules import base
from tfprune.rules import pointwise


class Writer(base.Rule):
    """A layer whose kernel reads all input channels and issues new units."""

    kernels = ("kernel",)

    def outputs(self, node):
        units = self.issue(node)
        reason = pointwise.obstacle(
            node.layer.activation, len(node.output_shapes[0]), self.axis(node)
        )
        if reason:
            node.freeze(units, reason)
        return [node.along(units, self.axis(node))]

    def issue(self, node):
        """Returns the units of the output channels, [channels]."""
        return node.new(node.output_shapes[0][self.axis(node)])

    def axis(self, node):
        """Returns the axis of the channels, the batch not counted."""
        return pointwise.channel_axis(node.layer)

    def read_and_written(self, node):
        """Returns the units of the input and of the output channels."""
        return node.channels(self.axis(node)), node.outputs[0].ravel()

    def positions(self, node):
        return places(node.output_shapes[0], self.axis(node))


class Dense(Writer):
    """`Dense`: kernel `[in, out]`."""

    def axes(self, node):
        read, written = self.read_and_written(node)
        return {"kernel": (read, written), "bias": (written,)}

    def config(self, node, kept):
        return {"units": kept(node.outputs[0])}

    def product(self, layer):
        return keras.ops.matmul


class Conv(Writer):
    """`Conv1D`, `Conv2D`, `Conv3D`: kernel `[..., in / groups, out]`.

    Groups stay equally wide: the same place of every group is tied. With one
    input channel to a group, a channel goes with the filters that read it.
    """

    def issue(self, node):
        inputs = node.channels(self.axis(node))
        groups = node.layer.groups
        if self._depthwise(node):
            return np.repeat(inputs, node.layer.filters // groups)
        node.merge(inputs.reshape(groups, -1), 0)
        units = node.new(node.layer.filters)
        node.merge(units.reshape(groups, -1), 0)
        return units

    def axes(self, node):
        read, written = self.read_and_written(node)
        group = read[: len(read) // node.layer.groups]
        spatial = (None,) * node.layer.rank
        inner = None if self._depthwise(node) else group
        return {"kernel": (*spatial, inner, written), "bias": (written,)}

    def config(self, node, kept):
        config = {"filters": kept(node.outputs[0])}
        if self._depthwise(node):
            config["groups"] = kept(node.channels(self.axis(node)))
        return config

    def product(self, layer):
        apart = layer.groups > 1 or layer.padding == "causal"
        return None if apart else layer.convolution_op

    def _depthwise(self, node):
        length = node.input_shapes[0][self.axis(node)]
        return 1 < node.layer.groups == length


class ConvTranspose(Writer):
    """`Conv1DTranspose` and so on: kernel `[..., out, in]`."""

    def axes(self, node):
        read, written = self.read_and_written(node)
        spatial = (None,) * node.layer.rank
        return {"kernel": (*spatial, written, read), "bias": (written,)}

    def config(self, node, kept):
        return {"filters": kept(node.outputs[0])}

    def positions(self, node):
        return places(node.input_shapes[0], self.axis(node))

    def filters(self, layer, kernel):
        kernel = keras.ops.swapaxes(kernel, -1, -2)
        return keras.ops.reshape(kernel, (-1, kernel.shape[-1]))


class DepthwiseConv(Writer):
    """`DepthwiseConv1D`, `DepthwiseConv2D`: kernel `[..., in, multiplier]`."""

    passes = True

    def issue(self, node):
        inputs = node.channels(self.axis(node))
        return np.repeat(inputs, node.layer.depth_multiplier)

    def axes(self, node):
        read, written = self.read_and_written(node)
        spatial = (None,) * node.layer.rank
        return {"kernel": (*spatial, read, None), "bias": (written,)}

    def filters(self, layer, kernel):
        channels = kernel.shape[-2] * layer.depth_multiplier
        return keras.ops.reshape(kernel, (-1, channels))


class SeparableConv(Writer):
    """`SeparableConv1D`, `SeparableConv2D`: depthwise, then pointwise."""

    kernels = ("pointwise_kernel", "depthwise_kernel")

    def axes(self, node):
        read, written = self.read_and_written(node)
        spatial = (None,) * node.layer.rank
        between = np.repeat(read, node.layer.depth_multiplier)
        return {
            "depthwise_kernel": (*spatial, read, None),
            "pointwise_kernel": (*spatial, between, written),
            "bias": (written,),
        }

    def config(self, node, kept):
        return {"filters": kept(node.outputs[0])}


class Embedding(Writer):
    """`Embedding`: its width; what it looks up is not multiplied."""

    kernels = ("embeddings",)

    def outputs(self, node):
        node.freeze(node.inputs[0], base.SHAPE)
        return [node.along(node.new(node.layer.output_dim))]

    def axes(self, node):
        return {"embeddings": (None, node.outputs[0].ravel())}

    def config(self, node, kept):
        return {"output_dim": kept(node.outputs[0])}

    def products(self, node):
        return {}


def places(shape, axis):
    """Returns how many positions there are beside the channels."""
    lengths = list(shape)
    del lengths[axis]
    if None in lengths:
        raise ValueError(
            "Multiply-accumulates can be counted only where all sizes are "
            f"known. Received: shape={shape}. Build the model with a fixed "
            "input size."
        )
    return math.prod(lengths)


base.register_rule(layers.Dense, Dense())
base.register_rule(layers.Embedding, Embedding())
for _kind in (layers.Conv1D, layers.Conv2D, layers.Conv3D):
    base.register_rule(_kind, Conv())
for _kind in (
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
):
    base.register_rule(_kind, ConvTranspose())
for _kind in (layers.DepthwiseConv1D, layers.DepthwiseConv2D):
    base.register_rule(_kind, DepthwiseConv())
for _kind in (layers.SeparableConv1D, layers.SeparableConv2D):
    base.register_rule(_kind, SeparableConv())
