"""One backward pass: gradients of the losses, to variables and to gates."""

import contextlib
from typing import NamedTuple

import tensorflow as tf

from tfprune import replicas


class Backward(NamedTuple):
    """What one backward pass found in one replica's part of the batch.

    Gradients are those of the *sum* of the losses over these examples.

    Attributes:
        losses: float32 [batch], the model's own losses included.
        gradients: A float32 tensor for each of `model.trainable_variables`,
            whatever their own type; None if the losses depend on none.
        taps: `(layer, tensor)` pairs, in the order of the calls.
        tap_gradients: A tensor for each tapped tensor, of its shape; None if
            the losses depend on none.
    """

    losses: tf.Tensor
    gradients: list | None
    taps: list
    tap_gradients: list | None


def no_taps(tape):
    """Returns a context manager that yields an empty list of taps."""
    return contextlib.nullcontext([])


def backward(model, loss_fn, inputs, labels, tap=no_taps, training=True):
    """Runs the model and the gradients of its losses on one replica.

    Args:
        model: A `keras.Model`. Its own losses, such as those of a kernel
            regularizer, are added to the loss of every example.
        loss_fn: Called as `loss_fn(labels, outputs)`, returns [batch].
        inputs: This replica's part of the batch, [batch, ...].
        labels: Its labels, [batch, ...].
        tap: Called with the tape; returns a context manager that yields a list
            and, while the model is called, fills it with `(layer, tensor)`
            pairs whose tensors the tape watches. Defaults to no taps.
        training: Whether the model runs in training mode.

    Returns:
        A `Backward`; what has no influence on the losses has gradients of 0.
    """
    with tf.GradientTape() as tape, tap(tape) as taps:
        outputs = model(inputs, training=training)
        losses = tf.cast(loss_fn(labels, outputs), tf.float32)
        losses += sum(tf.cast(loss, tf.float32) for loss in model.losses)
        total = tf.reduce_sum(losses)
    variables = [variable.value for variable in model.trainable_variables]
    tensors = [tensor for _, tensor in taps]
    gradients, tap_gradients = tape.gradient(total, (variables, tensors))
    return Backward(
        losses,
        _of_examples(_filled(gradients, variables), losses),
        taps,
        _filled(tap_gradients, tensors),
    )


def required(gradients):
    """Returns the gradients of a `Backward`, or of one tap, if there are any.

    Args:
        gradients: Anything, or None.

    Raises:
        ValueError: If it is None.
    """
    if gradients is None:
        raise ValueError(
            "`loss_fn` must have a gradient, so that a model can learn from it "
            "and its units be scored. Received: a loss that does not depend on "
            "the model, or only by operations without a gradient, such as "
            "`argmax`. Use a differentiable loss, such as "
            "`losses.CrossEntropy`."
        )
    return gradients


def _filled(gradients, sources):
    """Returns gradients with zeros for those that are None; None if all are."""
    if sources and all(gradient is None for gradient in gradients):
        return None
    return [
        tf.zeros_like(source) if gradient is None else gradient
        for gradient, source in zip(gradients, sources, strict=True)
    ]


def _of_examples(gradients, losses):
    """Returns gradients as float32 tensors, 0 if there are no losses.

    Batch normalisation of no examples makes every gradient NaN, and that of an
    embedding is a `tf.IndexedSlices`.
    """
    if gradients is None:
        return None
    present = tf.minimum(replicas.count_examples(losses), 1)
    return [
        tf.math.multiply_no_nan(tf.cast(gradient, tf.float32), present)
        for gradient in map(tf.convert_to_tensor, gradients)
    ]
