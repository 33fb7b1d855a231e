"""Approximated Oracle Filter Pruning (Ding et al., ICML 2019)."""

import math

from absl import logging
import numpy as np
import tensorflow as tf

from tfprune import budgets
from tfprune import checks
from tfprune import damage as damage_lib
from tfprune import gradients
from tfprune import halving
from tfprune import limits
from tfprune import tracing
from tfprune import training
from tfprune.methods import masked


class AOFP(masked.Masked):
    """Searches in all layers at once for filters whose loss does no damage.

    While the model trains on, each step drops a random half of the filters
    that are searched of each layer, in a path of its own that ends at the next
    layers. The relative squared change of their outputs is the damage

        T = sum((y_base - y_ablated) ** 2) / sum(y_base ** 2)

    of these filters. After `half_steps` the better half goes if all of it has
    a mean damage below the threshold, a *move*; else that half alone is
    searched, down to a single filter, and then all of the layer again. The
    search ends as soon as the budget is met: of the last move only as many
    filters go as that takes, those with the least damage first. It ends, too,
    if no more filters may go.

    A layer here is a group of units: what a filter is tied to, as through a
    depthwise convolution, goes with it, and several next layers share a T,
    the ratio of the sums over all of them. One that has a single filter, or
    that no other layer reads, stays as it is. Unlike in the paper, moving
    statistics of batch normalisation are those of the base path alone. On
    several replicas T is that of the whole batch; both paths are normalised
    by the statistics of each replica's part, unless layers are `synchronized`.

    Args:
        budget: The `Budget` of units, params or macs that ends the search; a
            warning tells if it is not met.
        trainer: A `Trainer`.
        steps: Most training steps.
        threshold: Damage below which filters go. Defaults to 0.01.
        half_steps: Steps of a half. Defaults to 1000.
        warmup: Steps before the first search. Those of the layers begin one
            after another, `half_steps / layers searched` later for each layer
            with a kernel before. Defaults to 500.
        streams: Whether residual streams are searched, too, all layers of one
            together. Defaults to False, as in the paper: they stay.
        min_units: As for `select`. Defaults to 1.
        frozen: Names of layers whose channels stay, as for `trace`.
        seed: Of the random halves. Defaults to 0.
        round_steps: Most training steps in one round, hence between two
            checkpoints. Defaults to 100.

    Raises:
        ValueError: If an argument is something else.
    """

    def __init__(
        self,
        budget,
        trainer,
        steps,
        threshold=0.01,
        half_steps=1000,
        warmup=500,
        streams=False,
        min_units=1,
        frozen=(),
        seed=0,
        round_steps=100,
    ):
        checks.check_kind(budgets.Budget, budget=budget)
        checks.check_kind(training.Trainer, trainer=trainer)
        checks.check_counts(
            steps=steps, half_steps=half_steps, round_steps=round_steps
        )
        checks.check_counts(least=0, warmup=warmup, seed=seed)
        limits.check(min_units=min_units)
        if type(threshold) not in (int, float) or not 0 < threshold < math.inf:
            raise ValueError(
                "`threshold` must be a number above 0, a share of the squared "
                f"output. Received: threshold={threshold!r}."
            )
        if type(streams) is not bool:
            raise ValueError(
                f"`streams` must be True or False. Received: {streams!r}."
            )
        if budget.resource == "latency_ms":
            raise ValueError(
                "AOFP asks after every move what is left, and a latency takes "
                f"minutes to measure. Received: {budget}. Limit the `macs`."
            )
        self.budget = budget
        self.trainer = trainer
        self.steps = steps
        self.threshold = threshold
        self.half_steps = half_steps
        self.warmup = warmup
        self.streams = streams
        self.min_units = min_units
        self.frozen = frozen
        self.seed = seed
        self.round_steps = round_steps

    def trace(self, model):
        return tracing.trace(model, self.frozen, self.streams)

    def check_budget(self, selector, masked, graph):
        targets = damage_lib.Damage(masked, graph).targets
        everything = np.ones(graph.num_units, bool)
        least = everything.copy()
        for target in targets:
            least[selector.spare(everything, target.units)] = False
        if not selector.is_met(least):
            raise ValueError(
                f"The budget of {selector.target:,} {selector.resource} cannot "
                f"be met: {selector.amount(least):,} stay at least, with "
                f"min_units={self.min_units!r}, streams={self.streams} and "
                f"frozen={self.frozen!r}."
            )
        names = [target.name for target in targets]
        starts = self._starts(targets)
        halving.check(names, starts, self.half_steps, self.steps)

    def trial(self, model, graph, loss_fn):
        damage = damage_lib.Damage(model, graph)

        def step(inputs, labels):
            ablating = damage.ablating(tf.ones([graph.num_units]))
            found = gradients.backward(ablating, loss_fn, inputs, labels)
            gradients.required(found.gradients)
            return ablating.damages()

        return step

    def start(self, model, dataset, loss_fn, original=None):
        super().start(model, dataset, loss_fn, original)
        self._damage = damage_lib.Damage(self.model, self.graph)
        self.targets = self._damage.targets
        self._kept = tf.Variable(tf.ones([self.graph.num_units]))
        self._halving = halving.Halving(
            [target.units for target in self.targets],
            self.graph.num_units,
            self._starts(self.targets),
            self.half_steps,
            self.seed,
        )

    @property
    def functions(self):
        return self._update_and_ablate, self.update

    @property
    def variables(self):
        return self._halving.variables

    @property
    def done(self):
        return super().done or self._is_over(self.keep)

    def step(self):
        before = keep = self.keep
        losses, halves = [], []
        most = min(self.round_steps, self.steps - self.loop.done)
        while len(losses) < most and not self._is_over(keep):
            loss, ended = self._train()
            losses.append(loss)
            halves += ended
            if any(half["filters"] for half in ended):
                keep = self.keep
        left = {
            f"filters/{target.name}": int(keep[target.units].sum())
            for target in self.targets
        }
        record = self.record("search", losses, before)
        return {**record, **left, "halves": halves}

    def finish(self):
        reached = self.selector.report(self.keep)
        if not self.selector.is_met(self.keep):
            logging.warning(
                "The search ended after %d steps without meeting its budget: "
                "%s. More filters go with more `steps`, a higher `threshold` "
                "or lower `min_units`.",
                self.loop.done,
                reached,
            )
        elif not self.loop.done:
            logging.warning("The budget was met before: %s.", reached)
        return super().finish()

    def report(self, records=()):
        halves = [half for record in records for half in record["halves"]]
        search = [
            halving.summary(target.name, self.keep[target.units], halves)
            for target in self.targets
        ]
        return {**super().report(), "search": search}

    def _starts(self, targets):
        """Returns the step in which the search of each target begins."""
        places = [target.place for target in targets]
        return halving.starts(places, self.half_steps, self.warmup)

    def _is_over(self, keep):
        return self.selector.is_met(keep) or self._halving.over(self.loop.done)

    def _train(self):
        """Does a training step; returns its loss, and the halves it ends."""
        step = self.loop.done
        for number in self._halving.due(step):
            self._search_all(number, step, self.keep)
        if not self._halving.active:
            loss, _ = self.loop.step(self.update)
            return loss, []
        dropped = self._halving.draw(step)
        self._kept.assign(1.0 - dropped)
        loss, damages = self.loop.step(self._update_and_ablate)
        self._halving.credit(
            dropped, self._damage.checked(damages.numpy(), step)
        )
        return loss, [
            self._end_half(number, step) for number in self._halving.ended(step)
        ]

    def _update_and_ablate(self, inputs, labels):
        ablating = self._damage.ablating(self._kept)
        _, update = self.trainer.step(ablating, self.loss_fn, inputs, labels)
        return update, ablating.damages()

    def _end_half(self, number, step):
        """Prunes, halves or begins anew; returns what became of a half."""
        target, keep = self.targets[number], self.keep
        alive = keep[target.units].sum()
        searched, damages = self._halving.collect(number)
        better, left = halving.halve(searched, damages, self.threshold)
        spare = self.selector.spare(keep, better)
        gone = self.selector.enough(keep, spare)
        if len(gone):
            keep[gone] = False
            self.prune(keep)
        if len(left):
            self._halving.search(number, left, step)
        else:
            self._search_all(number, step, keep)
        return {
            "layer": target.name,
            "step": step + 1,
            "alive": int(alive),
            "searched": len(searched),
            "damage": halving.quartiles(damages),
            "filters": len(gone),
        }

    def _search_all(self, number, step, keep):
        """Begins a search of all that is left of a target, if any may go."""
        target = self.targets[number]
        units = target.units[keep[target.units]]
        if not len(self.selector.spare(keep, units)):
            units = units[:0]
        self._halving.search(number, units, step)
