"""Runs of a model without some of its units, side by side.

What a run shares with the whole model is computed once. A tensor of a run
either lacks the channels of the unit, while all others are those of the whole
model; or it differs from it by a known `Difference`, as behind a product with a
kernel, which needs the channels of the unit alone; or it has `Values` of its
own.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfprune import examples
from tfprune import linear
from tfprune.layers import head_mask


class Lack(NamedTuple):
    """A tensor without the channels of the unit of each run."""

    units: np.ndarray  # as in `Node`


class Difference(NamedTuple):
    """A tensor less the one of the whole model, [runs * length, ...]."""

    rows: tf.Tensor


class Values(NamedTuple):
    """A tensor of all runs, one after the other, [runs * length, ...]."""

    rows: tf.Tensor


class Runs:
    """Runs of a model, each without one unit of those with the same gates.

    Args:
        whole: The `Whole` of the same batch.
        paths: The paths of the gates.
        units: int array of all units that have just these.
        members: int tensor, [runs], which of them the runs lack, one or more.
    """

    def __init__(self, whole, paths, units, members):
        self._whole = whole
        self._paths = paths
        self._units = units
        self._members = members
        self._count = tf.size(members)
        self._states = {}  # by `id` of the tensor; None if it is unchanged
        for call in whole.calls:
            if call.path in paths or any(map(self._state, call.inputs)):
                states = zip(map(id, call.outputs), self._outputs(call))
                self._states.update(states)

    def losses(self, loss_fn, labels):
        """Returns the loss of each run and example, float32 [runs, batch].

        Args:
            loss_fn: As for `Whole.losses`.
            labels: As for `Whole.losses`.
        """
        return self._each(
            self._whole.outputs,
            lambda _, given: [self._whole.losses(loss_fn, labels, given)],
            [tf.TensorSpec([None], tf.float32)],
        )[0]

    def _outputs(self, call):
        """Returns the states of the outputs of a call; None of unchanged."""
        states = list(map(self._state, call.inputs))
        changed = [state for state in states if state is not None]
        gated = call.path in self._paths and not _is_inside(call)
        if gated and not changed:
            return [Lack(self._whole.gates[call.path])]
        if changed and all(isinstance(state, Lack) for state in changed):
            units = self._whole.passed(call)
            if units is not None:
                return [self._lack(each) for each in units]
        difference = self._difference(call, states)
        outputs = self._values(call) if difference is None else [difference]
        if not gated:
            return outputs
        (tensor,), (state,) = call.outputs, outputs
        mask = self._row_mask(tensor, self._whole.gates[call.path])
        return [Values(self._rows(tensor, state) * mask)]

    def _state(self, tensor):
        return self._states.get(id(tensor))

    def _lack(self, units):
        return Lack(units) if np.isin(units, self._units).any() else None

    def _difference(self, call, states):
        """Returns the `Difference` of a linear call; None if it has none."""
        if isinstance(call.layer, linear.Linear) and len(states) == 1:
            if isinstance(states[0], Lack):
                return self._lost_part(call, states[0].units)
        add_up = linear.linear_part(call)
        known = all(x is None or isinstance(x, Difference) for x in states)
        if add_up is None or not known or not self._alone(call):
            return None
        return Difference(add_up([x.rows for x in states if x is not None]))

    def _lost_part(self, call, units):
        """Returns what the channels of the units added to a product."""
        (tensor,) = call.inputs
        axis, x = call.layer.axis, self._whole.value(tensor)
        along = units.shape[axis if axis < 0 else axis - 1]
        if not units.size == along == x.shape[axis]:
            return None
        table = _places(units.ravel(), self._units)
        if table.shape[1] > units.size // 2:
            return None
        parts = tf.map_fn(
            lambda channels: -call.layer.part(x, channels),
            tf.gather(table, self._members),
            fn_output_signature=call.layer.kernel.dtype,
            parallel_iterations=1,
        )
        return Difference(_merged(parts))

    def _values(self, call):
        """Returns the `Values` of the outputs of a call."""
        if self._alone(call):
            given = {id(x): self._rows(x, self._state(x)) for x in call.inputs}
            return list(map(Values, self._whole.call(call, given)))

        def run(member, given):
            if call.path not in self._paths or not _is_inside(call):
                return self._whole.call(call, given)
            mask = self._mask(self._whole.gates[call.path], member)
            with call.layer.shut(mask):
                return self._whole.call(call, given)

        values = [self._whole.value(x) for x in call.outputs]
        specs = [tf.TensorSpec(x.shape, x.dtype) for x in values]
        outputs = self._each(call.inputs, run, specs)
        return [Values(_merged(x)) for x in outputs]

    def _alone(self, call):
        """Whether a call can be made once for all runs."""
        masked = any(mask is not None for mask in self._whole.masks(call))
        return not masked and examples.alone(call)

    def _each(self, tensors, function, specs):
        """Returns what a function returns for each run, a list of [runs, ...].

        Args:
            tensors: The symbolic tensors that it reads.
            function: Called with the member that the run lacks, and with
                {`id` of a tensor: value} of those that changed.
            specs: A `tf.TensorSpec` of each output.
        """
        changed = {id(x): x for x in tensors if self._state(x) is not None}

        def run(elements):
            member, values = elements
            return function(member, dict(zip(changed, values)))

        split = [
            self._split(x, self._rows(x, self._state(x)))
            for x in changed.values()
        ]
        return tf.map_fn(
            run,
            (self._members, split),
            fn_output_signature=specs,
            parallel_iterations=1,
        )

    def _rows(self, tensor, state):
        """Returns the values of a tensor in all runs, [runs * length, ...]."""
        if isinstance(state, Values):
            return state.rows
        value = self._whole.value(tensor)
        if state is None:
            return tf.tile(value, [self._count, *[1] * (len(value.shape) - 1)])
        if isinstance(state, Lack):
            mask = self._mask(state.units, self._members)
            return _merged(value * tf.cast(mask, value.dtype)[:, tf.newaxis])
        difference = self._split(tensor, state.rows)
        return _merged(value + tf.cast(difference, value.dtype))

    def _split(self, tensor, rows):
        """Returns the values of a tensor in all runs, [runs, length, ...]."""
        value = self._whole.value(tensor)
        shape = tf.concat([[self._count], tf.shape(value)], 0)
        return tf.ensure_shape(tf.reshape(rows, shape), [None, *value.shape])

    def _mask(self, units, member):
        """Returns which `units` a run has, float32 of their shape.

        Args:
            units: As in `Node`.
            member: The member that it lacks, or those of all runs, [runs].
        """
        lost = tf.gather(self._units, member)
        for _ in range(units.ndim):
            lost = lost[..., tf.newaxis]
        return tf.cast(units != lost, tf.float32)

    def _row_mask(self, tensor, units):
        value = self._whole.value(tensor)
        mask = tf.cast(self._mask(units, self._members), value.dtype)
        return tf.repeat(mask, tf.shape(value)[0], axis=0)


def _is_inside(call):
    return isinstance(call.layer, head_mask.HeadMask)


def _merged(x):
    """Returns [runs, length, ...] as [runs * length, ...]."""
    rows = tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))
    return tf.ensure_shape(rows, [None, *x.shape[2:]])


def _places(row, units):
    """Returns where units are in a row, int32 [units, most]; -1 for nowhere."""
    found = [np.flatnonzero(row == unit) for unit in units]
    table = np.full([len(found), max(map(len, found))], -1, "int32")
    for places, each in zip(table, found):
        places[: len(each)] = each
    return table
