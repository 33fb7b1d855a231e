"""The training loop: gradients, updates and measures on every replica.

One `tf.GradientTape` serves base training, fine-tuning and scoring. `backward`
and `Trainer.step` run in replica context, inside `strategy.run`; the other
functions are called under `strategy.scope()`.
"""

import collections
import contextlib
import itertools
import re
from typing import NamedTuple

from absl import logging
import keras
import tensorflow as tf

from tfprune import losses as losses_lib


class Backward(NamedTuple):
    """What one backward pass found in one replica's part of the batch.

    Gradients are those of the *sum* of the losses over these examples.

    Attributes:
        losses: [batch], regularisation included.
        outputs: What the model returned.
        gradients: One tensor for each of `model.trainable_variables`.
        taps: `(layer, tensor)` pairs, in the order of the calls.
        tap_gradients: One tensor of the shape of each tapped tensor.
    """

    losses: tf.Tensor
    outputs: tf.Tensor
    gradients: list
    taps: list
    tap_gradients: list


class Update(NamedTuple):
    """What became of one step; equal on every replica.

    Attributes:
        loss: Mean over the global batch.
        finite: False if the loss or its gradient was not finite, in which case
            the step changed no weight.
    """

    loss: tf.Tensor
    finite: tf.Tensor


def no_tap(tape):
    """Returns the context manager of an empty list of taps."""
    return contextlib.nullcontext([])


def backward(model, loss_fn, inputs, labels, tap=no_tap, training=True):
    """Runs the model and the gradient of its losses on one replica.

    Args:
        model: A built `keras.Model`. Its own losses, such as those of kernel
            regularizers, are added to the loss of every example.
        loss_fn: Called as `loss_fn(labels, outputs)`, returns [batch].
        inputs: This replica's part of the batch, [batch, ...].
        labels: Its labels, [batch, ...].
        tap: Called with the tape, returns a context manager that yields a list
            and fills it with `(layer, tensor)` pairs, each watched by the
            tape, while the model is called. Defaults to no taps.
        training: Whether the model runs in training mode.

    Returns:
        A `Backward`.
    """
    with tf.GradientTape() as tape, tap(tape) as taps:
        outputs = model(inputs, training=training)
        losses = loss_fn(labels, outputs) + sum(model.losses)
        total = tf.reduce_sum(losses)
    gradients, tap_gradients = tape.gradient(
        total,
        (model.trainable_variables, [tensor for _, tensor in taps]),
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    # An embedding's gradient is a sparse `tf.IndexedSlices`.
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    return Backward(losses, outputs, gradients, taps, tap_gradients)


class Trainer:
    """A Keras optimizer with coupled weight decay, clipping and distillation.

    The gradient of the mean loss over the global batch is clipped, then
    `weight_decay * w` is added to it, then the optimizer applies its rule: the
    order of the papers, where momentum accumulates the decay too.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, made under the strategy.
        weight_decay: Factor of the L2 term of the gradient. Defaults to `0.0`.
        exclude_from_weight_decay: Regular expressions; a variable is excluded
            if one is found in its path, as in `("bias", "gamma", "beta")`.
            Defaults to `()`: every trainable variable decays.
        clip_norm: Largest norm of the gradient of all variables together.
            Defaults to `None`: not clipped.
        distillation: A `losses.Distillation`. Its teacher is given to `build`.
            Defaults to `None`.
    """

    def __init__(
        self,
        optimizer,
        weight_decay=0.0,
        exclude_from_weight_decay=(),
        clip_norm=None,
        distillation=None,
    ):
        _check_optimizer(optimizer)
        if weight_decay and optimizer.weight_decay:
            raise ValueError(
                "Weights must decay in one place only. Received: weight_decay="
                f"{weight_decay} and optimizer.weight_decay="
                f"{optimizer.weight_decay}; set one of them to 0."
            )
        if weight_decay < 0:
            raise ValueError(
                "`weight_decay` must not be negative. "
                f"Received: weight_decay={weight_decay}."
            )
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(
                "`clip_norm` must be above 0, or None. "
                f"Received: clip_norm={clip_norm}."
            )
        if isinstance(exclude_from_weight_decay, str):
            raise ValueError(
                "`exclude_from_weight_decay` must be a tuple of strings. "
                "Received: exclude_from_weight_decay="
                f"{exclude_from_weight_decay!r}."
            )
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.exclude_from_weight_decay = exclude_from_weight_decay
        self.clip_norm = clip_norm
        self.distillation = distillation
        self._trained = []
        self._teacher = None

    @property
    def variables(self):
        """The state to checkpoint, besides the model's; complete once built."""
        return self.optimizer.variables

    def build(self, model, teacher=None):
        """Makes the state that training `model` needs; call it before `step`.

        Args:
            model: The `keras.Model` to train.
            teacher: A `keras.Model` with the same inputs and outputs. Used if
                the trainer has a `distillation`, which then needs it.
        """
        if self.distillation and teacher is None:
            raise ValueError(
                "Distillation needs a teacher. "
                "Received: teacher=None; pass the model before pruning."
            )
        if self.distillation and len(model.outputs) != 1:
            raise ValueError(
                "Distillation needs a model with one output. "
                f"Received: {len(model.outputs)} outputs."
            )
        self._teacher = teacher
        self._trained = model.trainable_variables
        self.optimizer.build(self._trained)

    def step(self, model, loss_fn, inputs, labels, tap=no_tap):
        """Updates the model from one batch; in replica context.

        Args:
            model: The model that the trainer was built for.
            loss_fn: As for `backward`.
            inputs: This replica's part of the batch; it may be empty.
            labels: Its labels.
            tap: As for `backward`.

        Returns:
            The `Backward` of this replica and the `Update` of the step.
        """
        if self.distillation:
            loss_fn = self._distilled(loss_fn, inputs)
        statistics = _moving_statistics(model)
        before = [tf.identity(statistic) for statistic in statistics]
        found = backward(model, loss_fn, inputs, labels, tap)
        examples = tf.cast(tf.shape(found.losses)[0], tf.float32)
        # A replica without examples leaves NaN in its moving statistics.
        moved = [
            tf.math.multiply_no_nan(after - start, examples)
            for after, start in zip(statistics, before, strict=True)
        ]
        total = tf.cast(tf.reduce_sum(found.losses), tf.float32)
        examples, total, gradients, moved = _sum_over_replicas(
            (examples, total, found.gradients, moved)
        )
        loss = total / examples
        gradients = [gradient / examples for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(loss) & tf.math.is_finite(norm)
        for statistic, start, move in zip(
            statistics, before, moved, strict=True
        ):
            statistic.assign(start + tf.where(finite, move / examples, 0))
        self._apply(finite, self._decay(self._clip(gradients, norm)))
        return found, Update(loss, finite)
