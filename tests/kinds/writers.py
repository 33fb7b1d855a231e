"""Kinds of node that make new channels with a kernel."""

import math

from keras import layers
from keras import ops

from tests.kinds import base

WRITER = {
    "activation": ("linear", "relu", "sigmoid", "softplus", "softmax"),
    "use_bias": (False, True),
}
WINDOW = {"size": (1, 2, 3), "padding": ("same", "valid")}
# A 1 x 1 depthwise convolution of one channel breaks 1 x 1 ones of TensorFlow
# 2.21 that follow it: oneDNN is given its primitive, which is not theirs.
DEPTHWISE = WINDOW | {"size": (2, 3)}
SPACING = ({}, {"strides": 2}, {"dilation_rate": 2})


def fitting(x, size, padding, spacing=()):
    """Returns `size` and `padding` as arguments that suit a tensor."""
    reach = (size - 1) * dict(spacing).get("dilation_rate", 1)
    if min(x.shape[1:-1]) <= reach:
        padding = "same"
    return {"kernel_size": size, "padding": padding, **dict(spacing)}


@base.kind(
    base.IMAGE, filters=base.FILTERS, spacing=SPACING, **WINDOW, **WRITER
)
def conv(x, filters, size, padding, spacing, **settings):
    window = fitting(x, size, padding, spacing)
    return layers.Conv2D(filters, **window, **settings)(x)


@base.kind(base.ANY, units=base.FILTERS, **WRITER)
def dense(x, **settings):
    return layers.Dense(**settings)(x)


@base.kind(
    base.IMAGE,
    groups=(2, 3, 4, 100),
    multiple=(1, 2, 3),
    spacing=SPACING,
    **WINDOW,
    **WRITER,
)
def grouped_conv(x, groups, multiple, size, padding, spacing, **settings):
    channels = x.shape[-1]
    groups = channels if groups > channels else math.gcd(groups, channels)
    window = fitting(x, size, padding, spacing)
    filters = groups * multiple
    return layers.Conv2D(filters, **window, groups=groups, **settings)(x)


@base.kind(
    base.IMAGE,
    depth_multiplier=(1, 2),
    spacing=SPACING,
    **DEPTHWISE,
    **WRITER,
)
def depthwise_conv(x, size, padding, spacing, **settings):
    window = fitting(x, size, padding, spacing)
    return layers.DepthwiseConv2D(**window, **settings)(x)


@base.kind(
    base.IMAGE,
    filters=base.FILTERS,
    depth_multiplier=(1, 2),
    spacing=SPACING,
    **DEPTHWISE,
    **WRITER,
)
def separable_conv(x, filters, size, padding, spacing, **settings):
    window = fitting(x, size, padding, spacing)
    return layers.SeparableConv2D(filters, **window, **settings)(x)


@base.kind(
    base.IMAGE,
    filters=base.FILTERS,
    strides=(1, 2),
    **WINDOW,
    **WRITER,
)
def transposed_conv(x, filters, size, padding, **settings):
    return layers.Conv2DTranspose(filters, size, padding=padding, **settings)(x)


@base.kind(
    base.SEQUENCE,
    filters=base.FILTERS,
    size=(1, 2, 3),
    padding=("same", "causal", "valid"),
    spacing=SPACING,
    **WRITER,
)
def conv_1d(x, filters, size, padding, spacing, **settings):
    window = fitting(x, size, padding, spacing)
    return layers.Conv1D(filters, **window, **settings)(x)


@base.kind(base.SEQUENCE, filters=base.FILTERS, **WINDOW, **WRITER)
def separable_conv_1d(x, filters, size, padding, **settings):
    window = fitting(x, size, padding)
    return layers.SeparableConv1D(filters, **window, **settings)(x)


@base.kind(base.SEQUENCE, depth_multiplier=(1, 2), **WINDOW, **WRITER)
def depthwise_conv_1d(x, size, padding, **settings):
    window = fitting(x, size, padding)
    return layers.DepthwiseConv1D(**window, **settings)(x)


@base.kind(
    base.SEQUENCE,
    filters=base.FILTERS,
    strides=(1, 2),
    **WINDOW,
    **WRITER,
)
def transposed_conv_1d(x, filters, size, padding, **settings):
    return layers.Conv1DTranspose(filters, size, padding=padding, **settings)(x)


@base.kind(base.IMAGE, filters=base.FILTERS, **WRITER)
def conv_3d(x, filters, **settings):
    x = ops.expand_dims(x, 1)
    x = layers.Conv3D(filters, 2, padding="same", **settings)(x)
    return ops.squeeze(x, 1)
