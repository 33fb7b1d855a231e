"""Iterative pruning by a criterion, scored while the model trains."""

import numpy as np

from tfprune import averages
from tfprune import budgets
from tfprune import checks
from tfprune import gradients
from tfprune import limits
from tfprune import rankings
from tfprune import replicas
from tfprune import runs
from tfprune import schedules
from tfprune import scoring
from tfprune import training
from tfprune.criteria import base as criteria
from tfprune.layers import channel_mask
from tfprune.methods import masked


class Iterative(masked.Masked):
    """Trains, scores from the same backward passes, prunes, and goes on.

    Scores of a step are those before its update. They are averaged over the
    training steps since the last pruning, and with `momentum` over prunings.
    When the schedule says so, the units with the lowest ones go until the share
    of the budget that is due by then is met; a unit that is gone never comes
    back. Training goes on until `steps`, masks stay until the end
    (Molchanov et al., 2019, arXiv:1906.10771, section 3.3).

    With a budget in units, a `PolynomialDecay` of power 1 that begins in step 0
    removes as many of them each time: from 11392 to 8192 with a `frequency` of
    30 and an `end_step` of 960 it is 100, 32 times. Unlike the authors' code,
    which averages 31 batches first and 30 later, all means are of 30 then.

    The record of a round in which units went has the `threshold`, the largest
    score of these, and `score_min`, `score_median` and `score_max`, those of
    the positive scores of all that were alive before.

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
        align: As for `select`, the group size of the paper: groups go whole,
            in the order of their means, which is that of their sums in layers
            of a multiple of `align` units. Defaults to 1.
        frozen: Names of layers whose channels stay, as for `trace`.
        round_steps: Most training steps in one round, hence between two
            checkpoints. Defaults to 100.
        momentum: Share of the average before in that of each pruning, in
            [0, 1): the scores become `momentum * before + (1 - momentum) *
            mean`, those of the first pruning the mean. Defaults to 0.0.

    Raises:
        ValueError: If the schedule does not prune in its `end_step`, or ends
            after `steps`; or if a setting is out of range.
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
        momentum=0.0,
    ):
        checks.check_kind(criteria.Criterion, criterion=criterion)
        checks.check_kind(budgets.Budget, budget=budget)
        checks.check_kind(schedules.PruningSchedule, schedule=schedule)
        checks.check_kind(training.Trainer, trainer=trainer)
        checks.check_counts(steps=steps, align=align, round_steps=round_steps)
        limits.check(min_units=min_units, max_units=max_units)
        schedules.check(schedule, steps)
        checks.check_number(below=1, momentum=momentum)
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
        self.momentum = momentum

    def check(self, model, dataset, loss_fn):
        workers = replicas.count_workers()
        if self.budget.resource == "latency_ms" and workers > 1:
            raise ValueError(
                "A latency is measured on one machine, and several would not "
                f"remove the same units. Received: `latency_ms` with {workers} "
                "workers. Use the strategy 'mirrored', or limit the `macs`."
            )
        super().check(model, dataset, loss_fn)
        if self.criterion.signed:
            self._check_ranks_of_any_sign(model)

    def trial(self, model, graph, loss_fn):
        scorer = scoring.Scorer(model, graph, self.criterion, loss_fn)

        def step(inputs, labels):
            found = gradients.backward(
                model, loss_fn, inputs, labels, channel_mask.tapped
            )
            gradients.required(found.gradients)
            return scorer.scores(found, inputs, labels)

        return step

    def _check_ranks_of_any_sign(self, model):
        graph = self.trace(model)
        everything = np.ones(graph.num_units, bool)
        try:
            self.ranking(np.full(graph.num_units, -1.0), graph, everything)
        except ValueError as error:
            raise ValueError(
                "`ranking` must take scores of any sign, for the criterion "
                f"gives such. Received: criterion={self.criterion.name}, and "
                f"of the ranking: {error}"
            ) from error

    def start(self, model, dataset, loss_fn, original=None):
        super().start(model, dataset, loss_fn, original)
        self._scorer = scoring.Scorer(
            self.model, self.graph, self.criterion, loss_fn
        )
        self._average = averages.Average(self.graph.num_units, self.momentum)

    @property
    def functions(self):
        return self._update_and_score, self.update

    @property
    def variables(self):
        return self._average.variables

    def step(self):
        start, steps = self.progress
        before, losses, found = self.keep, [], {}
        for step in range(start, min(start + self.round_steps, steps)):
            losses.append(self._train())
            if self._due(step + 1):
                found = self._prune(before)
                break
        fine_tuning = step >= self.schedule.end_step
        phase = "fine-tune" if fine_tuning else "prune"
        return {**self.record(phase, losses, before), **found}

    def _train(self):
        """Does one training step; returns its loss."""
        scored = self.loop.done < self.schedule.end_step
        loss, scores = self.loop.step(
            self._update_and_score if scored else self.update
        )
        if scored:
            self._average.add(scores)
        return loss

    def _update_and_score(self, inputs, labels):
        def read(found):
            (scores,) = self._scorer.scores(found, inputs, labels).values()
            return scores

        scores, update = self.trainer.step(
            self.model,
            self.loss_fn,
            inputs,
            labels,
            tap=channel_mask.tapped,
            read=read,
        )
        return update, scores

    def _due(self, step):
        in_time = step <= self.schedule.end_step
        return in_time and bool(self.schedule(step)[0])

    def _prune(self, alive):
        """Removes what is due by now of what is alive.

        Returns:
            What the record tells of the scores, if units went.
        """
        scores = self._average.take()
        self._scorer.checked(self.criterion.name, scores)
        step = self.loop.done
        now, end = (
            float(self.schedule(each)[1])
            for each in (step, self.schedule.end_step)
        )
        if step < self.schedule.end_step:
            keep = self.selector.choose(scores, alive, now / end)
        else:
            keep = runs.outside_strategy(self.selector.nearest, scores, alive)
        self.prune(keep)
        gone = scores[alive & ~keep]
        if not len(gone):
            return {}
        return {
            "threshold": float(gone.max()),
            **_spread(scores[alive & self.graph.prunable]),
        }


def _spread(scores):
    """Returns the least, median and largest of the positive scores, if any."""
    scores = scores[scores > 0]
    if not len(scores):
        return {}
    return {
        "score_min": float(scores.min()),
        "score_median": float(np.median(scores)),
        "score_max": float(scores.max()),
    }
