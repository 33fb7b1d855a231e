"""First and second derivatives of the losses to the gates, exact."""

import keras
import numpy as np
import tensorflow as tf

from tfprune import gates
from tfprune import program
from tfprune.layers import head_mask

# TensorFlow's moments pass no second derivatives through the mean.
_INEXACT = (
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
)


def derivatives(batch):
    """Returns the derivatives of the loss of each example to each gate.

    A gate multiplies a unit wherever it is masked, in inference mode; where
    places follow each other in a row, each takes a root of it. What comes
    before the first place is computed once for all units.

    Args:
        batch: A `Batch`.

    Returns:
        First and second derivatives, each [batch, num_units], 0 for units that
        are not to be scored.

    Raises:
        ValueError: If a layer has no exact second derivative; names it.
    """
    values = program.infer(batch.program, batch.inputs)
    parts, units = [], []
    groups = gates.by_places(batch.units, batch.graph.prunable)
    for paths, group in groups.items():
        calls = _after(batch.program, paths)
        _check_exact(calls)
        parts.append(_of_units(batch, values, paths, calls, group))
        units.append(group)
    total = tf.math.unsorted_segment_sum(
        tf.concat(parts, 0), np.concatenate(units), batch.graph.num_units
    )  # [num_units, 2, batch]
    return tf.transpose(total[:, 0]), tf.transpose(total[:, 1])


def _of_units(batch, values, paths, calls, group):
    """Returns the derivatives of some units, [units, 2, batch]."""
    nothing = tf.zeros_like(batch.losses(values))

    def of(unit):
        return tf.cond(
            batch.alive[unit],
            lambda: _along(batch, values, paths, calls, unit, nothing),
            lambda: tf.stack([nothing, nothing]),
        )

    return tf.map_fn(
        of,
        tf.constant(group),
        fn_output_signature=tf.float32,
        parallel_iterations=1,
    )


def _along(batch, values, paths, calls, unit, nothing):
    """Returns the derivatives of one unit, [2, batch]."""
    step = tf.zeros_like(nothing)
    with tf.GradientTape() as outer:
        outer.watch(step)
        with tf.GradientTape() as inner:
            inner.watch(step)
            losses = _losses(batch, values, paths, calls, unit, step)
        first = inner.gradient(losses, step, unconnected_gradients="zero")
    second = outer.gradient(first, step, unconnected_gradients="zero")
    return tf.stack([first, second])


def _losses(batch, values, paths, calls, unit, step):
    """Returns the losses with a gate of `1 + step`, [batch]."""
    count = batch.graph.num_units
    rows = np.maximum(batch.in_a_row, 1).astype("float32")
    share = 1.0 / tf.gather(rows, unit)
    one = tf.one_hot(unit, count + 1)

    def run(call, *args, **kwargs):
        if call.path not in paths:
            return call.layer(*args, **kwargs)
        units = batch.units[call.path]
        here = tf.gather(one, units % (count + 1))
        steps = tf.reshape(step, [-1, *[1] * units.ndim])
        gate = (1 + here * steps) ** share
        if isinstance(call.layer, head_mask.HeadMask):
            with call.layer.shut(gate):
                return call.layer(*args, **kwargs)
        outputs = call.layer(*args, **kwargs)
        return outputs * tf.cast(gate, outputs.dtype)

    after = dict(values)
    program.replay(calls, after, run)
    return batch.losses(after)


def _after(code, paths):
    """Returns the calls that gates at `paths` change, themselves included."""
    changed, calls = set(), []
    for call in code.calls:
        reached = any(id(x) in changed for x in call.inputs)
        if reached or call.path in paths:
            changed.update(map(id, call.outputs))
            calls.append(call)
    return calls


def _check_exact(calls):
    for call in calls:
        layer = getattr(call.layer, "layer", call.layer)
        if isinstance(layer, _INEXACT):
            raise ValueError(
                "Second derivatives must be exact. Received: "
                f"{call.path!r} of type {type(layer).__name__}, whose second "
                "derivative TensorFlow leaves out in part. Use a criterion of "
                "first derivatives."
            )
