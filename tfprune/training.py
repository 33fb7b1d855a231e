"""One training step: an optimizer, and what comes between it and a gradient.

`Trainer.step` is for replica context, inside `strategy.run`; everything else
is called under `strategy.scope()`.
"""

from typing import NamedTuple

import tensorflow as tf

from tfprune import batch_norm
from tfprune import checks
from tfprune import decay
from tfprune import gradients as gradients_lib
from tfprune import rates
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
    `weight_decay * w` is added to it; the group lasso makes the filters
    smaller; then the optimizer applies its rule. That is the order of the
    papers: momentum accumulates the decay too, but not the lasso.

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
        group_lasso: What each step takes from the L2 norm of every filter of
            the convolutions, whatever the learning rate; see `decay.shrink`.
            Defaults to `0.0`.
    """

    def __init__(
        self,
        optimizer,
        weight_decay=0.0,
        exclude_from_weight_decay=(),
        learning_rate_factors=None,
        clip_norm=None,
        distillation=None,
        group_lasso=0.0,
    ):
        checks.check_optimizer(optimizer)
        decay.check(
            optimizer, weight_decay, exclude_from_weight_decay, group_lasso
        )
        factors = dict(learning_rate_factors or {})
        rates.check(factors)
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
        self.group_lasso = group_lasso
        self._trained = []
        self._filters = []
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
        self._filters = decay.filters(model) if self.group_lasso else []
        self.optimizer.build(self._trained)

    def check(self, model):
        """Raises an error if the trainer cannot train a model.

        Args:
            model: A `keras.Model`.

        Raises:
            ValueError: If it has several outputs to distil, no convolution for
                the group lasso, or is not the model that the trainer was built
                for; or if the optimizer has trained before, or keeps the state
                of other weights.
        """
        if self.distillation and len(model.outputs) != 1:
            raise ValueError(
                "`distillation` needs a model with one output. "
                f"Received: model {model.name!r} with {len(model.outputs)}."
            )
        if self.group_lasso:
            decay.filters(model)
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

    def step(
        self,
        model,
        loss_fn,
        inputs,
        labels,
        tap=gradients_lib.no_taps,
        read=lambda found: found,
    ):
        """Updates the model from one batch; in replica context.

        Args:
            model: The model that the trainer was built for.
            loss_fn: As for `backward`.
            inputs: This replica's part of the batch; it may be empty.
            labels: Its labels.
            tap: As for `backward`.
            read: Called with the `Backward` of this replica before weights
                change. Defaults to what returns it.

        Returns:
            What `read` returns, and the `Update` of all replicas.

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
        if self.clip_norm is not None:
            limit = self.clip_norm
            gradients, _ = tf.clip_by_global_norm(gradients, limit, norm)
        settings = self.weight_decay, self.exclude_from_weight_decay
        gradients = decay.decayed(gradients, self._trained, *settings)
        result = read(found)
        self._apply(gradients, finite)
        return result, Update(loss, finite)

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

    def _apply(self, gradients, finite):
        """Applies gradients, equal on all replicas, if the step is finite.

        Replicas must enter a condition around an update together, hence the
        merge. The optimizer sums what it is given over the replicas.
        """

        def apply(*gradients):
            for kernel, axes in self._filters:
                decay.shrink(kernel, axes, self.group_lasso)
            starts = rates.starts(self._trained, self.learning_rate_factors)
            self.optimizer.apply(gradients, self._trained)
            rates.scale(starts)

        def apply_if_finite(strategy, gradients, finite):
            tf.cond(
                strategy.experimental_local_results(finite)[0],
                lambda: strategy.run(apply, args=gradients),
                lambda: None,
            )

        replica = tf.distribute.get_replica_context()
        parts = [g / replica.num_replicas_in_sync for g in gradients]
        replica.merge_call(apply_if_finite, args=(parts, finite))
