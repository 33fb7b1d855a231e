"""Kinds of node that random architectures are made of.

A kind is a function of tensors and settings that returns a tensor or a list of
them. It takes whatever tensors of its forms there are, so that any step of an
architecture can be left out.
"""

from typing import Callable
from typing import NamedTuple

from keras import layers
from keras import ops

VECTOR, SEQUENCE, IMAGE = 2, 3, 4  # ranks, with the batch
ANY, SAME = "any rank", "the rank of the first tensor"


class Kind(NamedTuple):
    """A kind of node, and what it may be given."""

    make: Callable
    forms: tuple  # of the tensors that it reads
    settings: dict  # {name: values, the simplest first}


KINDS = {}


def kind(*forms, **settings):
    """Adds a function to `KINDS`, with what it may be given."""

    def add(make):
        KINDS[make.__name__] = Kind(make, forms, settings)
        return make

    return add


def to_form(x, rank):
    """Returns a tensor as one of another rank."""
    shape = x.shape[1:]
    if rank == VECTOR and len(shape) > 1:
        return layers.Flatten()(x)
    if rank == SEQUENCE and len(shape) != 2:
        return layers.Reshape((-1, shape[-1]))(x)
    if rank == IMAGE and len(shape) < 3:
        return layers.Reshape((1, -1, shape[-1]))(x)
    return x


def like(y, x):
    """Returns `y` cropped, padded and projected to the shape of `x`."""
    for axis, (old, new) in enumerate(zip(y.shape[1:-1], x.shape[1:-1]), 1):
        if old > new:
            y = y[(slice(None),) * axis + (slice(new),)]
        elif old < new:
            widths = [(0, 0)] * len(y.shape)
            widths[axis] = 0, new - old
            y = ops.pad(y, widths)
    if y.shape[-1] != x.shape[-1]:
        y = layers.Dense(x.shape[-1])(y)
    return y


FILTERS = 4, 6, 8, 1
