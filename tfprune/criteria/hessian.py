"""First and second derivatives of the losses to the gates, exact."""

import keras
import numpy as np
import tensorflow as tf

from tfprune import gates
from tfprune import masking
from tfprune import program
from tfprune.layers import head_mask

# TensorFlow's moments pass no second derivatives through the mean, and its
# resizing of images none at all.
_INEXACT = (
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Resizing,
)
_INEXACT_OPERATIONS = ("LayerNorm", "Moments", "Resize")


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
        ValueError: If a layer has no exact second derivative, or the losses
            have no gradient; names the layer.
    """
    batch.check_differentiable()
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
        first = _gradient(inner, losses, step)
    second = _gradient(outer, first, step)
    return tf.stack([first, second])


def _gradient(tape, y, x):
    try:
        return tape.gradient(y, x, unconnected_gradients="zero")
    except LookupError as error:
        raise ValueError(
            "Second derivatives must exist for all that follows the units. "
            f"Received an operation for which TensorFlow has none: {error}. "
            "Use a criterion of first derivatives."
        ) from error


def _losses(batch, values, paths, calls, unit, step):
    """Returns the losses with a gate of `1 + step`, [batch]."""
    count = batch.graph.num_units
    rows = np.maximum(batch.in_a_row, 1).astype("float32")
    share = 1.0 / tf.gather(rows, unit)
    one = tf.one_hot(unit, count + 1)

    def run(call, *args, **kwargs):
        if program.keras_name(call.layer) == "Concatenate":
            return _concatenate(call.layer, *args)
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


def _concatenate(layer, tensors):
    """Returns what the layer does, with slices as its gradient.

    That of TensorFlow has a padding of channels as its own gradient, which a
    convolution that reads it loses on CPUs.
    """
    sizes = [tf.shape(x)[layer.axis] for x in tensors]

    @tf.custom_gradient
    def join(*tensors):
        def gradient(upstream):
            parts = tf.split(upstream, sizes, layer.axis, num=len(tensors))
            return [tf.cast(x, y.dtype) for x, y in zip(parts, tensors)]

        return layer(list(tensors)), gradient

    return join(*tensors)


def _check_exact(calls):
    for call in calls:
        if any(map(_is_inexact, _parts(call.layer))):
            layer = masking.unwrapped(call.layer)
            raise ValueError(
                "Second derivatives must be exact. Received: "
                f"{call.path!r} of type {type(layer).__name__}, whose second "
                "derivative TensorFlow leaves out in part. Use a criterion of "
                "first derivatives."
            )


def _parts(layer):
    """Returns a layer and all in it, or an operation."""
    if not isinstance(layer, keras.layers.Layer):
        return [layer]
    return layer._flatten_layers()


def _is_inexact(layer):
    if isinstance(layer, keras.layers.UpSampling2D):
        return layer.interpolation != "nearest"
    named = program.keras_name(layer) in _INEXACT_OPERATIONS
    return named or isinstance(layer, _INEXACT)
