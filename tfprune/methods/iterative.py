"""Iterative pruning by a criterion, scored while the model trains."""

import numpy as np
import tensorflow as tf

from tfprune import budgets
from tfprune import checks
from tfprune import compaction
from tfprune import costs
from tfprune import gradients
from tfprune import limits
from tfprune import loops
from tfprune import masking
from tfprune import rankings
from tfprune import replicas
from tfprune import runs
from tfprune import schedules
from tfprune import scoring
from tfprune import selection
from tfprune import slots
from tfprune import tracing
from tfprune import training
from tfprune import verification
from tfprune.criteria import base as criteria
from tfprune.layers import channel_mask
from tfprune.methods import base


class Iterative(base.Method):
    """Trains, scores from the same backward passes, prunes, and goes on.

    Scores are averaged over the training steps since the last pruning. When
    the schedule says so, the units with the lowest ones go until the share of
    the budget that is due by then is met; a unit that is gone never comes
    back. Training goes on until `steps`, masks stay until the end
    (Molchanov et al., 2019, arXiv:1906.10771, section 3.3).

    Args:
        criterion: A `Criterion`.
        budget: The `Budget` that the final model meets, or a warning tells what
            it does; no latency if several machines take part.
        schedule: A schedule of `tfprune.schedules`. After each training step
            in which it prunes, its sparsity, as a share of that at its
            `end_step`, is the share of the way to the budget.
        trainer: A `Trainer`.
        steps: Training steps in all, at least the schedule's `end_step`; those
            after it are the fine-tuning.
        ranking: As for `select`. Defaults to `global_ranking`.
        min_units: As for `select`. Defaults to 1.
        max_units: As for `select`. Defaults to 1.0. Layers come down to it
            as the model does to the budget.
        align: As for `select`. Defaults to 1.
        frozen: Names of layers whose channels stay, as for `trace`.
        round_steps: Most training steps in one round, hence between two
            checkpoints. Defaults to 100.

    Raises:
        ValueError: If the schedule does not prune in its `end_step`, or ends
            after `steps`.
    """

    def __init__(
        self,
        criterion,
        budget,
        schedule,
        trainer,
        steps,
        ranking=rankings.global_ranking,
        min_units=1,
        max_units=1.0,
        align=1,
        frozen=(),
        round_steps=100,
    ):
        checks.check_kind(criteria.Criterion, criterion=criterion)
        checks.check_kind(budgets.Budget, budget=budget)
        checks.check_kind(schedules.PruningSchedule, schedule=schedule)
        checks.check_kind(training.Trainer, trainer=trainer)
        checks.check_counts(steps=steps, align=align, round_steps=round_steps)
        limits.check(min_units=min_units, max_units=max_units)
        schedules.check(schedule, steps)
        self.criterion = criterion
        self.budget = budget
        self.schedule = schedule
        self.trainer = trainer
        self.steps = steps
        self.ranking = ranking
        self.min_units = min_units
        self.max_units = max_units
        self.align = align
        self.frozen = frozen
        self.round_steps = round_steps

    def check(self, model, dataset, loss_fn):
        workers = replicas.count_workers()
        if self.budget.resource == "latency_ms" and workers > 1:
            raise ValueError(
                "A latency is measured on one machine, and several would not "
                f"remove the same units. Received: `latency_ms` with {workers} "
                "workers. Use the strategy 'mirrored', or limit the `macs`."
            )
        graph = tracing.trace(model, self.frozen)
        runs.outside_strategy(
            self._selector_of(graph).select,
            1.0 + np.arange(graph.num_units),
            np.ones(graph.num_units, bool),
        )
        masked = masking.mask_model(model, graph)
        self.trainer.check(masked)
        slots.check(self.trainer.optimizer)
        scorer = scoring.Scorer(masked, graph, self.criterion, loss_fn)

        def step(inputs, labels):
            found = gradients.backward(
                masked, loss_fn, inputs, labels, channel_mask.tapped
            )
            gradients.required(found.gradients)
            return scorer.scores(found, inputs, labels)

        # Tracing computes nothing, and finds what cannot be learnt or scored.
        _, trial = replicas.distribute(dataset, step)
        trial.get_concrete_function()
        # The end of the run, at a mask that takes of every layer.
        runs.outside_strategy(compaction.compact, model, graph, graph.thinned())

    def start(self, model, dataset, loss_fn, original=None):
        self.graph = tracing.trace(model, self.frozen)
        dense = original and tracing.trace(original, self.frozen)
        self._meter = costs.Meter(self.graph)
        self._selector = self._selector_of(self.graph, dense)
        self._masked = masking.mask_model(model, self.graph)
        verification.Proof(self._masked).verify_copy(model)
        self._scorer = scoring.Scorer(
            self._masked, self.graph, self.criterion, loss_fn
        )
        self.trainer.build(self._masked, teacher=original or model)
        self._loss_fn = loss_fn
        self._loop = loops.Loop(dataset, self._update_and_score, self._update)
        self._summed = tf.Variable(tf.zeros([self.graph.num_units]))
        self._count = tf.Variable(0, dtype=tf.int64)

    @property
    def state(self):
        return {
            "model": [x.value for x in self._masked.variables],
            "trainer": [x.value for x in self.trainer.variables],
            "method": [self._loop.steps, self._summed, self._count],
        }

    @property
    def model(self):
        return self._masked

    @property
    def done(self):
        return self._loop.done >= self.steps

    @property
    def progress(self):
        return self._loop.done, self.steps

    def step(self):
        start, steps = self.progress
        losses, pruned = [], 0
        for step in range(start, min(start + self.round_steps, steps)):
            losses.append(self._train())
            if self._due(step + 1):
                pruned = self._prune()
                break
        keep = masking.get_mask(self._masked, self.graph)
        fine_tuning = step >= self.schedule.end_step
        return {
            "step": step + 1,
            "phase": "fine-tune" if fine_tuning else "prune",
            "loss": float(np.mean(losses)),
            "learning_rate": self.trainer.learning_rate,
            "units": int((keep & self.graph.prunable).sum()),
            **self._meter(keep)._asdict(),
            "pruned": pruned,
        }

    def finish(self):
        proof = verification.Proof(self._masked, self._loop.inputs())
        small, self._verified = compaction.proven(proof)
        return small

    def report(self, records=()):
        keep = masking.get_mask(self._masked, self.graph)
        return {
            "verification": self._verified,
            "layers": self.graph.widths(keep),
            "explanation": [row._asdict() for row in self.graph.explain()],
            "budget": runs.outside_strategy(self._selector.report, keep),
        }

    def _selector_of(self, graph, original=None):
        """Returns the `Selector` of a graph, which may measure models."""
        return runs.outside_strategy(
            selection.Selector,
            graph,
            self.budget,
            self.min_units,
            self.ranking,
            self.max_units,
            self.align,
            original,
        )

    def _train(self):
        """Does one training step; returns its loss."""
        scored = self._loop.done < self.schedule.end_step
        loss, scores = self._loop.step(
            self._update_and_score if scored else self._update
        )
        if scored:
            self._summed.assign_add(scores)
            self._count.assign_add(1)
        return loss

    def _update(self, inputs, labels):
        _, update = self.trainer.step(
            self._masked, self._loss_fn, inputs, labels
        )
        return update, None

    def _update_and_score(self, inputs, labels):
        found, update = self.trainer.step(
            self._masked,
            self._loss_fn,
            inputs,
            labels,
            tap=channel_mask.tapped,
        )
        (scores,) = self._scorer.scores(found, inputs, labels).values()
        return update, scores

    def _due(self, step):
        in_time = step <= self.schedule.end_step
        return in_time and bool(self.schedule(step)[0])

    def _prune(self):
        """Removes what is due by now; returns how many units that were."""
        scores = self._summed.numpy() / max(1, int(self._count.numpy()))
        self._summed.assign(tf.zeros_like(self._summed))
        self._count.assign(0)
        self._scorer.checked(self.criterion.name, scores)
        step = self._loop.done
        now, end = (
            float(self.schedule(each)[1])
            for each in (step, self.schedule.end_step)
        )
        before = masking.get_mask(self._masked, self.graph)
        if step < self.schedule.end_step:
            keep = self._selector.choose(scores, before, now / end)
        else:
            keep = runs.outside_strategy(
                self._selector.nearest, scores, before
            )
        masking.set_mask(self._masked, self.graph, keep)
        self.trainer.mask_slots(
            masking.variable_masks(self._masked, self.graph, keep)
        )
        return int(before.sum() - keep.sum())
