"""Kinds of node that join two tensors."""

from keras import layers
from keras import ops

from tests.kinds import base


@base.kind(base.ANY, base.SAME)
def add(x, y):
    return layers.Add()([x, base.like(y, x)])


@base.kind(base.ANY, base.SAME, name=("Subtract", "Multiply", "Average"))
def arithmetic_layer(x, y, name):
    return getattr(layers, name)()([x, base.like(y, x)])


@base.kind(base.ANY, base.SAME, name=("Maximum", "Minimum"))
def extremum(x, y, name):
    return getattr(layers, name)()([x, base.like(y, x)])


@base.kind(
    base.ANY,
    base.SAME,
    name=("add", "subtract", "multiply", "maximum"),
)
def arithmetic_operation(x, y, name):
    return getattr(ops, name)(x, base.like(y, x))


@base.kind(base.ANY, base.SAME)
def quotient(x, y):
    return x / (base.like(y, x) ** 2 + 1.0)


@base.kind(base.ANY, base.SAME)
def where(x, y):
    y = base.like(y, x)
    return ops.where(x > y, x, y)


@base.kind(base.IMAGE, base.SEQUENCE)
def scaled_by_vector(x, y):
    s = layers.GlobalAveragePooling1D()(y)
    s = s if s.shape[-1] == x.shape[-1] else layers.Dense(x.shape[-1])(s)
    return x * s[:, None, None]


@base.kind(base.ANY)
def scaled_by_position(x):
    return x * layers.Dense(1, activation="sigmoid")(x)


@base.kind(base.ANY, base.SAME)
def concatenated_channels(x, y):
    if len(x.shape) > 2:
        y = base.like(y, x[..., : y.shape[-1]])
    return layers.Concatenate()([x, y])


@base.kind(base.SEQUENCE, base.SEQUENCE)
def concatenated_positions(x, y):
    y = y if y.shape[-1] == x.shape[-1] else layers.Dense(x.shape[-1])(y)
    return layers.Concatenate(axis=1)([x, y])
