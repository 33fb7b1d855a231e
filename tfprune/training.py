"""One training step: an optimizer, and what comes between it and a gradient.

`Trainer.step` is for replica context, inside `strategy.run`; everything else
is called under `strategy.scope()`.
"""

import re
from typing import NamedTuple

import tensorflow as tf

from tfprune import batch_norm
from tfprune import checks
from tfprune import gradients as gradients_lib
from tfprune import replicas
from tfprune import slots


class Update(NamedTuple):
    """What became of one step, the same on every replica.

    Attributes:
        loss: Mean over the global batch.
        finite: False if the loss or its gradient was not finite. The step has
            then changed no weight, moving statistic or optimizer state.
    """

    loss: tf.Tensor
    finite: tf.Tensor


class Trainer:
    """A Keras optimizer with coupled weight decay, clipping and distillation.

    The gradient of the mean loss over the global batch is clipped, then
    `weight_decay * w` is added to it, then the optimizer applies its rule.
    That is the order of the papers: momentum accumulates the decay too.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, made under the strategy.
        weight_decay: Factor of the L2 term of the gradient. Defaults to `0.0`.
        exclude_from_weight_decay: Regular expressions, as in `("bias",
            "gamma", "beta")`; a variable does not decay if one is found in
            its path. Defaults to `()`: every trainable variable decays.
        learning_rate_factors: {regular expression: factor}, as in `{"bias":
            2.0}`; what the optimizer adds to a variable is multiplied by the
            factor of the last expression that is found in its path. Defaults
            to `None`: 1 for all.
        clip_norm: Largest norm of the gradient of all variables together.
            Defaults to `None`: not clipped.
        distillation: A `losses.Distillation`, whose teacher `build` takes.
            Defaults to `None`.
    """

    def __init__(
        self,
        optimizer,
        weight_decay=0.0,
        exclude_from_weight_decay=(),
        learning_rate_factors=None,
        clip_norm=None,
        distillation=None,
    ):
        checks.check_optimizer(optimizer)
        if weight_decay < 0:
            raise ValueError(
                "`weight_decay` must not be negative. "
                f"Received: weight_decay={weight_decay}."
            )
        if weight_decay and optimizer.weight_decay:
            raise ValueError(
                "Weights must decay in one place. Received: weight_decay="
                f"{weight_decay} and optimizer.weight_decay="
                f"{optimizer.weight_decay}; set one of them to 0."
            )
        if isinstance(exclude_from_weight_decay, str):
            raise ValueError(
                "`exclude_from_weight_decay` must be a tuple of strings. "
                "Received: exclude_from_weight_decay="
                f"{exclude_from_weight_decay!r}."
            )
        factors = dict(learning_rate_factors or {})
        if not all(
            isinstance(factor, (int, float)) and factor > 0
            for factor in factors.values()
        ):
            raise ValueError(
                "`learning_rate_factors` must be above 0; what is not to be "
                "trained is set by `trainable = False`. "
                f"Received: learning_rate_factors={factors}."
            )
        for pattern in (*exclude_from_weight_decay, *factors):
            _check_pattern(pattern)
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(
                "`clip_norm` must be above 0, or None. "
                f"Received: clip_norm={clip_norm}."
            )
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.exclude_from_weight_decay = tuple(exclude_from_weight_decay)
        self.learning_rate_factors = factors
        self.clip_norm = clip_norm
        self.distillation = distillation
        self._trained = []
        self._teacher = None

    @property
    def variables(self):
        """State to checkpoint besides the model's, complete after `build`."""
        return self.optimizer.variables

    @property
    def learning_rate(self):
        """Learning rate of the next step, a float."""
        return float(tf.convert_to_tensor(self.optimizer.learning_rate))

    def build(self, model, teacher=None):
        """Makes the state for training `model`; comes before the first step.

        Args:
            model: The `keras.Model` to train.
            teacher: The `keras.Model` to learn from, for a trainer with
                `distillation`; others leave it. Defaults to `None`.

        Raises:
            ValueError: As `check` does, or if there is no teacher.
        """
        if self.distillation and teacher is None:
            raise ValueError(
                "`distillation` needs a teacher. "
                "Received: teacher=None; pass the model before pruning."
            )
        self.check(model)
        self._teacher = teacher
        self._trained = model.trainable_variables
        self.optimizer.build(self._trained)

    def check(self, model):
        """Raises an error if the trainer cannot train a model.

        Args:
            model: A `keras.Model`.

        Raises:
            ValueError: If it has several outputs to distil, or is not the
                model that the trainer was built for; or if the optimizer has
                trained before, or keeps the state of other weights.
        """
        if self.distillation and len(model.outputs) != 1:
            raise ValueError(
                "`distillation` needs a model with one output. "
                f"Received: model {model.name!r} with {len(model.outputs)}."
            )
        known = set(map(id, self._trained))
        if known and not known.issuperset(map(id, model.trainable_variables)):
            raise ValueError(
                "A trainer keeps the state of one model. Received: model "
                f"{model.name!r} after another; make a new Trainer for it."
            )
        if not known and self.optimizer.built:
            steps = int(tf.convert_to_tensor(self.optimizer.iterations))
            raise ValueError(
                "An optimizer must be new: its learning rate, and what it "
                "keeps of each weight, are those of one training. Received: "
                f"one that was built for other weights, after {steps} steps; "
                "make a new optimizer for each Trainer."
            )

    def step(self, model, loss_fn, inputs, labels, tap=gradients_lib.no_taps):
        """Updates the model from one batch; in replica context.

        Args:
            model: The model that the trainer was built for.
            loss_fn: As for `backward`.
            inputs: This replica's part of the batch; it may be empty.
            labels: Its labels.
            tap: As for `backward`.

        Returns:
            The `Backward` of this replica, and the `Update` of all.

        Raises:
            ValueError: If the loss has no gradient.
        """
        if self.distillation:
            loss_fn = self._distilled(loss_fn, inputs)
        statistics = batch_norm.moving_statistics(model)
        before = [tf.identity(statistic) for statistic in statistics]
        found = gradients_lib.backward(model, loss_fn, inputs, labels, tap)
        examples = replicas.count_examples(found.losses)
        batch, loss, gradients = replicas.sum_over_replicas(
            (
                examples,
                tf.reduce_sum(found.losses),
                gradients_lib.required(found.gradients),
            )
        )
        loss /= batch
        gradients = [gradient / batch for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(loss) & tf.math.is_finite(norm)
        share = tf.where(finite, examples / batch, 0)
        batch_norm.synchronize(statistics, before, share)
        self._apply(self._decay(self._clip(gradients, norm)), finite)
        return found, Update(loss, finite)

    def mask_slots(self, masks):
        """Returns the optimizer's state of masked weights to its start.

        Args:
            masks: As for `slots.reset`.
        """
        slots.reset(self.optimizer, self._trained, masks)

    def _distilled(self, loss_fn, inputs):
        teacher_logits = self._teacher(inputs, training=False)
        return lambda labels, logits: self.distillation(
            loss_fn(labels, logits), logits, teacher_logits
        )

    def _clip(self, gradients, norm):
        if self.clip_norm is None:
            return gradients
        return tf.clip_by_global_norm(gradients, self.clip_norm, norm)[0]

    def _decay(self, gradients):
        if not self.weight_decay:
            return gradients
        return [
            gradient + self.weight_decay * tf.cast(variable, tf.float32)
            if self._decays(variable)
            else gradient
            for gradient, variable in zip(gradients, self._trained, strict=True)
        ]

    def _decays(self, variable):
        return not any(
            re.search(pattern, variable.path)
            for pattern in self.exclude_from_weight_decay
        )

    def _factor(self, variable):
        factors = [
            factor
            for pattern, factor in self.learning_rate_factors.items()
            if re.search(pattern, variable.path)
        ]
        return factors[-1] if factors else 1.0

    def _apply(self, gradients, finite):
        """Applies gradients, equal on all replicas, if the step is finite.

        Replicas must enter a condition around an update together, hence the
        merge. The optimizer sums what it is given over the replicas.
        """

        def apply(*gradients):
            factors = [(x, self._factor(x)) for x in self._trained]
            starts = [
                (x, factor, tf.identity(x))
                for x, factor in factors
                if factor != 1.0
            ]
            self.optimizer.apply(gradients, self._trained)
            for variable, factor, start in starts:
                variable.assign(start + factor * (variable - start))
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable))

        def apply_if_finite(strategy, gradients, finite):
            tf.cond(
                strategy.experimental_local_results(finite)[0],
                lambda: strategy.run(apply, args=gradients),
                lambda: None,
            )

        replica = tf.distribute.get_replica_context()
        parts = [g / replica.num_replicas_in_sync for g in gradients]
        replica.merge_call(apply_if_finite, args=(parts, finite))


def _check_pattern(pattern):
    try:
        re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(
            "Paths of variables are told by regular expressions. "
            f"Received: {pattern!r}, which is none: {error}."
        ) from error
