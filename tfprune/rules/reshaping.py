"""Rules of the layers that move channels to other places."""

import math

import keras
from keras import layers
import numpy as np

from tfprune.rules import base
from tfprune.rules import pointwise


class Reshape(base.Rule):
    """`Reshape`: units follow the elements of the tensor.

    What is removed must leave a rectangle: where channels end up on several
    axes, only the last of these can lose some, and the same places of the
    others are tied.
    """

    passes = True

    def outputs(self, node):
        units, shape = node.inputs[0], node.input_shapes[0]
        target = node.output_shapes[0]
        if not _keeps_batch(node):
            return super().outputs(node)
        moved = _reshaped(units, shape, target)
        if moved is None:
            node.freeze(units, base.SHAPE)
            return [node.merge_all(units, len(target))]
        varying = [a for a in range(moved.ndim) if moved.shape[a] > 1]
        for axis in varying[:-1]:
            moved = node.merge(moved, axis)
        return [moved]

    def config(self, node, kept):
        old = node.layer.get_config()
        name = "target_shape" if "target_shape" in old else "newshape"
        shape = list(old[name])
        units = node.outputs[0]
        for axis in range(-units.ndim, 0):
            if units.shape[axis] > 1 and shape[axis] != -1:
                shape[axis] = kept(units)
        return {name: tuple(shape)}

    def leaks(self, node):
        return False


class Expand(Reshape):
    """`ops.expand_dims` and `ops.squeeze`: the same units, other axes."""

    def config(self, node, kept):
        return {}


class Flatten(base.Rule):
    """`Flatten`: every position repeats the whole row of channels."""

    passes = True

    def outputs(self, node):
        units, shape = node.inputs[0], node.input_shapes[0]
        if pointwise.channel_axis(node.layer) == 0:
            units = np.moveaxis(units, 0, -1)
            shape = (*shape[1:], shape[0])
        if None in shape:
            node.freeze(units, base.SHAPE)
            return [node.merge_all(units, 1)]
        return [np.broadcast_to(units, shape).ravel()]

    def leaks(self, node):
        return False


class Pad(base.Rule):
    """`ops.pad`: channels that are padded with zeros have no unit of their own.

    They go where the units go that they are added to.
    """

    passes = True

    def outputs(self, node):
        config = node.layer.get_config()
        batch, *widths = config["pad_width"]
        units = node.inputs[0]
        plain = config["mode"] == "constant" and not _constant(node)
        for axis, (before, after) in enumerate(widths):
            channels = units.shape[axis] > 1 or axis == units.ndim - 1
            if not channels or not before + after:
                continue
            if not plain:
                return super().outputs(node)
            row = [node.zeros(before), node.channels(axis), node.zeros(after)]
            units = node.along(np.concatenate(row), axis)
        return super().outputs(node) if any(batch) else [units]

    def config(self, node, kept):
        batch, *widths = node.layer.get_config()["pad_width"]
        units = node.outputs[0]
        for axis, (before, after) in enumerate(widths):
            if units.shape[axis] > 1 and before + after:
                end = units.size - after
                row = units.ravel()
                widths[axis] = (kept(row[:before]), kept(row[end:]))
        return {"pad_width": (batch, *widths)}

    def leaks(self, node):
        return bool(_constant(node))


class GetItem(base.Rule):
    """Indexing with slices; of channels, any run of neighbours."""

    passes = True

    def outputs(self, node):
        units, key = node.inputs[0], _full_key(node)
        if key is None or key[0] != slice(None):
            return super().outputs(node)
        lengths = iter(units.shape)
        taken = []
        for k in key[1:]:
            length = 1 if k is None else next(lengths)
            if length > 1 and not _is_run(k):
                node.freeze(units, base.SHAPE)
            taken.append(k if length > 1 or k is None else _first(k))
        return [units[tuple(taken)]]

    def arguments(self, node, args, keep):
        units, key = node.inputs[0], _full_key(node)
        kept = keep(units.ravel())
        lengths = iter((1, *units.shape))
        for place, k in enumerate(key):
            length = 1 if k is None else next(lengths)
            if length > 1 and _is_run(k):
                start, stop, _ = k.indices(length)
                key[place] = slice(
                    *(int(kept[:end].sum()) for end in (start, stop))
                )
        return (args[0], tuple(key))

    def leaks(self, node):
        return False


def _keeps_batch(node):
    """Whether an example of the output holds what one of the input does."""
    if isinstance(node.layer, keras.layers.Layer):
        return True
    old, new = node.input_shapes[0], node.output_shapes[0]
    if None in (*old, *new):
        return [n for n in old if n != 1] == [n for n in new if n != 1]
    return math.prod(old) == math.prod(new)


def _reshaped(units, shape, target):
    """Returns the units of a reshaped tensor; None if sizes are unknown.

    Axes are matched in the smallest groups of equal size, so that a group in
    which positions are alike needs no known size.
    """
    rest = [math.prod(filter(None, sizes)) for sizes in (shape, target)]

    def same(a, b):
        return a == b and (a is not None or rest[0] == rest[1])

    shortest = min(len(shape), len(target))
    head = tail = 0
    while head < shortest and same(shape[head], target[head]):
        head += 1
    while tail < shortest - head and same(shape[-1 - tail], target[-1 - tail]):
        tail += 1
    middle = units.shape[head : units.ndim - tail]
    old = shape[head : len(shape) - tail]
    new = target[head : len(target) - tail]
    ends = units.shape[:head], units.shape[units.ndim - tail :]
    if math.prod(middle) == 1:
        return units.reshape((*ends[0], *[1] * len(new), *ends[1]))
    if None in old or None in new:
        return None
    full = np.broadcast_to(units, (*ends[0], *old, *ends[1]))
    full = full.reshape((*ends[0], *new, *ends[1]))
    for axis in range(head, head + len(new)):
        first = full.take([0], axis)
        if axis < full.ndim - 1 and (full == first).all():
            full = first
    return full


def _constant(node):
    return node.kwargs.get("constant_values") or (
        node.args[1] if len(node.args) > 1 else None
    )


def _full_key(node):
    """Returns the index with an entry per axis; None if it holds others."""
    key = node.args[1]
    key = list(key) if isinstance(key, tuple) else [key]
    if not all(
        k is None or k is Ellipsis or isinstance(k, (int, slice)) for k in key
    ):
        return None
    missing = node.inputs[0].ndim + 1 - sum(
        k is not None and k is not Ellipsis for k in key
    )
    if Ellipsis not in key:
        key.append(Ellipsis)
    place = key.index(Ellipsis)
    key[place : place + 1] = [slice(None)] * missing
    return key


def _first(key):
    return slice(None) if isinstance(key, slice) else 0


def _is_run(key):
    return isinstance(key, slice) and key.step in (None, 1)


base.register_rule(layers.Reshape, Reshape())
base.register_rule(layers.Flatten, Flatten())
base.register_operations("Reshape", Reshape())
base.register_operations("ExpandDims Squeeze", Expand())
base.register_operations("Pad", Pad())
base.register_operations("GetItem", GetItem())
