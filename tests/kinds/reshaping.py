"""Kinds of node that move channels to other places, or reduce them."""

import math

from keras import layers
from keras import ops

from tests.kinds import base


@base.kind(base.ANY, start=(0, 1, 2), step=(1, 2))
def slice_of_channels(x, start, step):
    start = min(start, x.shape[-1] - 1)
    return x[..., start : max(start + 1, x.shape[-1] - 1) : step]


@base.kind(base.IMAGE)
def slice_of_positions(x):
    return x[:, ::2, ::2]


@base.kind(base.ANY, before=(0, 1, 2), after=(0, 1, 2))
def padded_channels(x, before, after):
    widths = [(0, 0)] * (len(x.shape) - 1)
    return ops.pad(x, [*widths, (before, after)])


@base.kind(base.ANY)
def flatten(x):
    return layers.Flatten()(x)


@base.kind(
    base.IMAGE,
    name=("GlobalAveragePooling2D", "GlobalMaxPooling2D"),
    keepdims=(False, True),
)
def global_pooling(x, name, keepdims):
    return getattr(layers, name)(keepdims=keepdims)(x)


@base.kind(base.IMAGE)
def rows_of_columns(x):
    return layers.Reshape((x.shape[1], -1))(x)


@base.kind(base.VECTOR)
def split_over_axes(x):
    return layers.Reshape((1, math.gcd(4, x.shape[-1]), -1))(x)


@base.kind(base.IMAGE, dims=((2, 1, 3), (3, 1, 2), (1, 3, 2)))
def permute(x, dims):
    return layers.Permute(dims)(x)


@base.kind(base.SEQUENCE)
def transpose(x):
    return ops.transpose(x, (0, 2, 1))


@base.kind(base.VECTOR)
def repeat_vector(x):
    return layers.RepeatVector(3)(x)


@base.kind(base.ANY, name=("mean", "max", "sum", "var"))
def reduced_channels(x, name):
    return getattr(ops, name)(x, axis=-1, keepdims=True)


@base.kind(base.SEQUENCE, name=("mean", "max", "logsumexp"))
def reduced_positions(x, name):
    return getattr(ops, name)(x, axis=1)
