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
            whatever their own type.
        taps: `(layer, tensor)` pairs, in the order of the calls.
        tap_gradients: A tensor for each tapped tensor, of its shape.
    """

    losses: tf.Tensor
    gradients: list
    taps: list
    tap_gradients: list


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

    Raises:
        ValueError: If the losses depend on no tap at all, or without taps on
            no trainable variable.
    """
    with tf.GradientTape() as tape, tap(tape) as taps:
        outputs = model(inputs, training=training)
        losses = tf.cast(loss_fn(labels, outputs), tf.float32)
        losses += sum(tf.cast(loss, tf.float32) for loss in model.losses)
        total = tf.reduce_sum(losses)
    variables = [variable.value for variable in model.trainable_variables]
    tensors = [tensor for _, tensor in taps]
    gradients, tap_gradients = tape.gradient(total, (variables, tensors))
    _check_connected(tap_gradients or gradients)
    gradients = _filled(gradients, variables)
    tap_gradients = _filled(tap_gradients, tensors)
    # Batch normalisation of no examples makes every gradient NaN, and that of
    # an embedding is a `tf.IndexedSlices`.
    present = tf.minimum(replicas.count_examples(losses), 1)
    gradients = [
        tf.math.multiply_no_nan(tf.cast(gradient, tf.float32), present)
        for gradient in map(tf.convert_to_tensor, gradients)
    ]
    return Backward(losses, gradients, taps, tap_gradients)


def _check_connected(gradients):
    if all(gradient is None for gradient in gradients):
        raise ValueError(
            "`loss_fn` must have a gradient, so that a model can learn from it "
            "and its units be scored. Received: a loss that does not depend on "
            "the model, or only by operations without a gradient, such as "
            "`argmax`. Use a differentiable loss, such as "
            "`losses.CrossEntropy`."
        )


def _filled(gradients, sources):
    """Returns gradients with zeros in place of those that are None."""
    return [
        tf.zeros_like(source) if gradient is None else gradient
        for gradient, source in zip(gradients, sources, strict=True)
    ]
