"""Saliencies that propose, and a short oracle that decides.

Persand, Anderson and Gregg, 2020, "Composition of Saliency Metrics for Pruning
with a Myopic Oracle" (arXiv:2004.03376).
"""

from absl import logging
import keras
import numpy as np
import tensorflow as tf

from tfprune import budgets
from tfprune import checks
from tfprune import composition
from tfprune import draws
from tfprune import evaluation
from tfprune import limits
from tfprune import proposals
from tfprune import scoring
from tfprune import training
from tfprune.criteria import base as criteria_lib
from tfprune.methods import masked


class MyopicOracle(masked.Masked):
    """Removes one unit after the other: the one that the loss misses least.

    In each step all criteria score the units on some batches, and propose
    `candidates` of them in turn. The loss without each of these is measured on
    other batches, the same for all; the unit whose loss is lowest goes, with
    all that is tied to it. One criterion and one candidate make a greedy
    pruning by that criterion, without an oracle. Nothing is trained, unless
    `fine_tuning_steps` says so.

    Args:
        criteria: As for `score`.
        budget: The `Budget` that ends the run; no latency. A warning tells if
            the run ended before.
        evaluation_data: `tf.data.Dataset` of batched `(inputs, labels)` to
            score and to ask the oracle on, kept in memory: a split of the
            training data, another one than that of the run.
        candidates: How many units are proposed in a step. Defaults to 16.
        batches: How many batches are scored in a step; those of the next go on
            where they end, in one shuffled pass after another. Defaults to 2.
        oracle_batches: How many batches the oracle is asked on, drawn anew in
            each step. Defaults to 2.
        stop_accuracy: The run ends before the accuracy on `evaluation_data`
            falls to it, a share in (0, 1). Defaults to None: it does not.
        min_units: As for `select`. Defaults to 1.
        frozen: Names of layers whose channels stay, as for `trace`.
        seed: Of the order of the batches and of what the oracle draws.
            Defaults to 0.
        round_units: How many units go in one round, hence between two
            checkpoints. Defaults to 1.
        trainer: A `Trainer`, if there are `fine_tuning_steps`.
        fine_tuning_steps: Training steps after each unit. Defaults to 0.

    Raises:
        ValueError: If an argument is something else.
    """

    def __init__(
        self,
        criteria,
        budget,
        evaluation_data,
        candidates=16,
        batches=2,
        oracle_batches=2,
        stop_accuracy=None,
        min_units=1,
        frozen=(),
        seed=0,
        round_units=1,
        trainer=None,
        fine_tuning_steps=0,
    ):
        checks.check_kind(budgets.Budget, budget=budget)
        checks.check_pairs(evaluation_data)
        checks.check_counts(
            candidates=candidates,
            batches=batches,
            oracle_batches=oracle_batches,
            round_units=round_units,
        )
        checks.check_counts(
            least=0, seed=seed, fine_tuning_steps=fine_tuning_steps
        )
        limits.check(min_units=min_units)
        self.criteria = criteria_lib.named(criteria)
        _check_settings(self.criteria, candidates, budget, stop_accuracy)
        if (trainer is None) != (fine_tuning_steps == 0):
            raise ValueError(
                "A `trainer` and `fine_tuning_steps` come together. Received: "
                f"trainer={trainer}, fine_tuning_steps={fine_tuning_steps}."
            )
        if trainer is None:  # It never takes a step.
            trainer = training.Trainer(keras.optimizers.SGD(0.0))
        checks.check_kind(training.Trainer, trainer=trainer)
        self.budget = budget
        self.evaluation_data = evaluation_data
        self.candidates = candidates
        self.batches = batches
        self.oracle_batches = oracle_batches
        self.stop_accuracy = stop_accuracy
        self.min_units = min_units
        self.frozen = frozen
        self.seed = seed
        self.round_units = round_units
        self.trainer = trainer
        self.fine_tuning_steps = fine_tuning_steps

    def check(self, model, dataset, loss_fn):
        if dataset is self.evaluation_data:
            raise ValueError(
                "`evaluation_data` must be another split than that of the run. "
                "Received: the same dataset for both."
            )
        checks.check_batch(model, self.evaluation_data, loss_fn)
        drawn = draws.Draws(self.evaluation_data, self.seed)
        drawn.fresh(0, self.oracle_batches)
        if self.stop_accuracy is not None:
            self._check_accuracy(model, loss_fn)
        super().check(model, dataset, loss_fn)

    def check_budget(self, selector, masked, graph):
        # It goes on unit by unit until it is below, however far that is.
        least = selector.choose(
            1.0 + np.arange(graph.num_units), np.ones(graph.num_units, bool)
        )
        if not selector.is_met(least):
            raise ValueError(
                f"The budget of {selector.target:,} {selector.resource} cannot "
                f"be met: {selector.amount(least):,} stay at least, with "
                f"min_units={self.min_units!r} and frozen={self.frozen!r}."
            )

    def trial(self, model, graph, loss_fn):
        return scoring.Scorer(model, graph, self.criteria, loss_fn).pass_over

    def start(self, model, dataset, loss_fn, original=None):
        super().start(model, dataset, loss_fn, original)
        self._removed = tf.Variable(0, dtype=tf.int64)
        self._over = tf.Variable(False)
        self._composition = composition.Composition(
            self.model,
            self.graph,
            loss_fn,
            self.criteria,
            draws.Draws(self.evaluation_data, self.seed),
            self.batches,
            self.oracle_batches,
        )
        self._accuracy = evaluation.evaluator(
            self.model, self.evaluation_data, loss_fn
        )

    @property
    def state(self):
        return {**super().state, "search": [self._removed, self._over]}

    @property
    def done(self):
        keep = self.keep
        over = bool(self._over.numpy()) or self.selector.is_met(keep)
        return over or not self.selector.removable(keep).any()

    @property
    def progress(self):
        """How much of the resource is gone, and how much is to go."""
        whole = self.selector.dense
        gone = whole - self.selector.amount(self.keep)
        return gone, max(whole - self.selector.target, gone)

    def step(self):
        before, losses, removed = self.keep, [], []
        saved = [x.numpy() for x in self._undone]
        while len(removed) < self.round_units and not self.done:
            loss, what = self._remove()
            losses.append(loss)
            removed.append(what)
            for _ in range(self.fine_tuning_steps):
                self.loop.step(self.update)
        if self._falls():
            for variable, value in zip(self._undone, saved, strict=True):
                variable.assign(value)
            self._over.assign(True)
            removed = []
        return {
            **self.record("prune", losses, before),
            "step": int(self._removed.numpy()),
            "removed": removed,
        }

    def finish(self):
        if not self.selector.is_met(self.keep):
            logging.warning(
                "The run ended after %d units without meeting its budget: %s. "
                "More go with a lower `stop_accuracy`, or fewer `round_units`.",
                int(self._removed.numpy()),
                self.selector.report(self.keep),
            )
        return super().finish()

    @property
    def _undone(self):
        """What is as it was after a round that falls too far, variables."""
        if self.stop_accuracy is None:
            return []
        state = super().state
        return [*state["model"], *state["trainer"], self._removed]

    def _remove(self):
        """Removes a unit; returns the loss before, and what went and why."""
        keep, step = self.keep, int(self._removed.numpy())
        scores, loss = self._composition.scores(step)
        active = self.selector.removable(keep)
        found = proposals.round_robin(scores, active, self.candidates)
        units, changes = list(found), [None]
        if self.candidates > 1:
            changes = self._composition.changes(step, units)
        place = int(np.argmin(changes)) if self.candidates > 1 else 0
        keep[units[place]] = False
        self.prune(keep)
        self._removed.assign_add(1)
        return loss, {
            "unit": units[place],
            "layer": self.graph.owners[units[place]],
            "criterion": found[units[place]],
            "loss_change": changes[place],
        }

    def _check_accuracy(self, model, loss_fn):
        found = evaluation.evaluate(model, self.evaluation_data, loss_fn)
        accuracy = found.get("accuracy")
        if accuracy is None or accuracy <= self.stop_accuracy:
            raise ValueError(
                "`stop_accuracy` must be below the accuracy of the model on "
                f"`evaluation_data`. Received: stop_accuracy="
                f"{self.stop_accuracy}, accuracy={accuracy}."
            )

    def _falls(self):
        """Whether the accuracy has fallen to that at which the run ends."""
        if self.stop_accuracy is None:
            return False
        return self._accuracy()["accuracy"] <= self.stop_accuracy


def _check_settings(criteria, candidates, budget, stop_accuracy):
    if candidates < len(criteria):
        raise ValueError(
            "`candidates` must be at least one for each criterion. Received: "
            f"candidates={candidates} and criteria {', '.join(criteria)}."
        )
    if budget.resource == "latency_ms":
        raise ValueError(
            "What is left is asked after every unit, and a latency takes "
            f"minutes to measure. Received: {budget}. Limit the `macs`."
        )
    if stop_accuracy is not None and not 0 < stop_accuracy < 1:
        raise ValueError(
            "`stop_accuracy` must be a share in (0, 1), or None. "
            f"Received: stop_accuracy={stop_accuracy!r}."
        )
