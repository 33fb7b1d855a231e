"""The exact oracle: the loss change that removing each unit really causes."""

import collections

from keras import tree
import numpy as np
import tensorflow as tf

from tfprune import program
from tfprune.criteria import base
from tfprune.layers import head_mask


class Oracle(base.Criterion):
    """Loss change of each unit by ablation, one unit at a time.

    All gates of a unit are shut together and the rest of the network is
    computed anew, in inference mode; what comes before the first of them is
    computed once for all units. Masks stay as they are.

    Args:
        absolute: Whether to score the size of the change alone, as the oracle
            of Molchanov et al. (2019) does. Defaults to `False`: a unit that
            does harm scores below zero.
    """

    def __init__(self, absolute=False):
        super().__init__()
        self.absolute = absolute

    def contributions(self, batch):
        """Returns the loss change of each example and unit."""
        tensors = map(id, batch.program.inputs)
        values = dict(zip(tensors, batch.inputs, strict=True))
        program.replay(batch.program.calls, values, _run)
        base_losses = _losses(batch, values)
        parts, units = [], []
        for paths, group in _groups(batch).items():
            changes = tf.map_fn(
                lambda unit, paths=paths: tf.cond(
                    batch.alive[unit],
                    lambda: _ablated(batch, values, paths, unit) - base_losses,
                    lambda: tf.zeros_like(base_losses),
                ),
                tf.constant(group),
                fn_output_signature=base_losses.dtype,
                parallel_iterations=1,
            )
            parts.append(changes)  # [units of the group, batch]
            units.append(group)
        total = tf.math.unsorted_segment_sum(
            tf.concat(parts, 0), np.concatenate(units), batch.graph.num_units
        )
        return tf.transpose(total)

    def reduce(self, contributions):
        """Returns the mean change of the loss, [num_units]."""
        change = tf.reduce_mean(contributions, axis=0)
        return tf.abs(change) if self.absolute else change


def _groups(batch):
    """Returns {paths of gates: the prunable units that have just these}."""
    paths = collections.defaultdict(list)
    for path, units in batch.units.items():
        for unit in np.unique(units[units >= 0]):
            paths[int(unit)].append(path)
    groups = collections.defaultdict(list)
    for unit in np.flatnonzero(batch.graph.prunable).tolist():
        groups[tuple(paths[unit])].append(unit)
    return groups


def _run(call, *args, **kwargs):
    return call.layer(*args, **kwargs)


def _losses(batch, values):
    outputs = tree.map_structure(lambda x: values[id(x)], batch.program.outputs)
    return tf.cast(batch.loss_fn(batch.labels, outputs), tf.float32)


def _ablated(batch, values, paths, unit):
    """Returns the losses of a batch without one unit, [batch]."""
    count = batch.graph.num_units
    trial = 1 - tf.one_hot(unit, count + 1)  # Channels without a unit stay.
    changed = set()

    def run(call, *args, **kwargs):
        fresh = any(id(x) in changed for x in call.inputs)
        changed.update(map(id, call.outputs))
        if call.path not in paths:
            return call.layer(*args, **kwargs)
        mask = tf.gather(trial, batch.units[call.path] % (count + 1))
        if isinstance(call.layer, head_mask.HeadMask):
            with call.layer.shut(mask):
                return call.layer(*args, **kwargs)
        outputs = (
            call.layer(*args, **kwargs)
            if fresh
            else values[id(call.outputs[0])]
        )
        return outputs * tf.cast(mask, outputs.dtype)

    after = dict(values)
    calls = _affected(batch.program, paths)
    program.replay(calls, after, run)
    return _losses(batch, after)


def _affected(code, paths):
    """Returns the calls that gates at `paths` change, themselves included."""
    changed, calls = set(), []
    for call in code.calls:
        reached = any(id(x) in changed for x in call.inputs)
        if reached or call.path in paths:
            changed.update(map(id, call.outputs))
            calls.append(call)
    return calls
