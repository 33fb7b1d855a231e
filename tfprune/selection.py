"""The selection of the units of a graph that stay within a budget."""

import bisect
import math

from absl import logging
import numpy as np

from tfprune import checks
from tfprune import choices
from tfprune import costs
from tfprune import latency
from tfprune import limits

NEAR = 0.01  # How far below a budget one tries to end, as a share of it.
NEAR_LATENCY = 0.05  # The same, of the finished model's time.
TRIALS = 8  # How often a model may be measured and chosen again.


class Selector:
    """Selects units of one graph, for one budget.

    Args:
        graph: As for `budgets.select`.
        budget: As for `budgets.select`.
        min_units: As for `budgets.select`.
        ranking: As for `budgets.select`.
        max_units: As for `budgets.select`.
        align: As for `budgets.select`.
        original: The `ChannelGraph` of the model that a fraction in the budget
            is of. Defaults to `graph`.

    Attributes:
        resource: The name of what is limited, as of a `Budget`.
        dense: How much of it that model takes.
        target: How much may be left.

    Raises:
        ValueError: If an argument is something else.
    """

    def __init__(
        self,
        graph,
        budget,
        min_units,
        ranking,
        max_units,
        align,
        original=None,
    ):
        checks.check_counts(align=align)
        if not callable(ranking) or isinstance(ranking, type):
            raise ValueError(
                "`ranking` must be a function `(scores, graph, keep)`, such as "
                f"those of `tfprune.rankings`. Received: ranking={ranking!r}."
            )
        self._graph = graph
        self._ranking = ranking
        self._align = align
        self._least = limits.least(graph, min_units)
        self._most = limits.most(graph, max_units)
        self._settings = (
            f"`min_units`={min_units}, `max_units`={max_units} and "
            f"`align`={align}"
        )
        near = NEAR_LATENCY if budget.resource == "latency_ms" else NEAR
        self._tolerance = budget.tolerance or (1.0 if align > 1 else near)
        self._near = min(self._tolerance, near)
        self._gauge = _gauge(graph, budget)
        self.resource = budget.resource
        self._whole = self.amount(np.ones(graph.num_units, bool))
        self.dense = self._whole
        if original is not None:
            everything = np.ones(original.num_units, bool)
            self.dense = _gauge(original, budget).measured(everything)
        self.target = round(budget.target(self.dense), self._gauge.digits)

    def select(self, scores, keep):
        """Returns the units that stay, bool [num_units].

        Args:
            scores: As for `budgets.select`.
            keep: As for `budgets.select`.

        Raises:
            ValueError: As `budgets.select` does.
        """
        keep, amount = self._nearest(scores, keep)
        if not self._meets(amount, self._tolerance):
            raise ValueError(self._missed(amount))
        return keep

    def nearest(self, scores, keep):
        """Returns what `select` does, with a warning in place of the error.

        Args:
            scores: As for `select`.
            keep: As for `select`.
        """
        keep, amount = self._nearest(scores, keep)
        if not self._meets(amount, self._tolerance):
            logging.warning("%s", self._missed(amount))
        return keep

    def choose(self, scores, keep, share=1.0):
        """Returns what stays a share of the way to the budget.

        Args:
            scores: As for `select`.
            keep: As for `select`.
            share: In [0, 1]; at 0 it is all of the graph, at 1 the budget.

        Raises:
            ValueError: As `select` does, but not for the distance.
        """
        graph = self._graph
        keep = graph.check(keep)
        scores = choices.checked("`scores`", scores, graph, keep)
        scores = self._ranking(scores, graph, keep)
        scores = choices.checked("What `ranking` returns", scores, graph, keep)

        def choice_of(keep):
            return choices.Choice(
                scores, graph, keep, self._least, self._align
            )

        choice = choice_of(keep)
        trimmed = self._trimmed(choice, share)
        if not np.array_equal(trimmed, keep):
            choice = choice_of(trimmed)
        limit = self._whole - (self._whole - self.target) * share
        limit = round(limit, self._gauge.digits)
        return choice.mask(choice.within(self._gauge, limit, NEAR))

    def amount(self, keep):
        """Returns how much of the resource the finished model takes.

        Args:
            keep: bool, [num_units], the units that stay.
        """
        return self._gauge.measured(keep)

    def is_met(self, keep):
        """Returns whether the finished model takes no more than the budget.

        Args:
            keep: bool, [num_units], the units that stay.
        """
        return self.amount(keep) <= self.target

    def spare(self, keep, units):
        """Returns as many of some units, the first, as `min_units` spares.

        Args:
            keep: bool, [num_units], the units that are alive.
            units: Alive ones of one group, int array.
        """
        return units[: limits.spare(self._graph, self._least, keep, units)]

    def removable(self, keep):
        """Returns which units `min_units` lets go next, bool [num_units].

        Args:
            keep: bool, [num_units], the units that are alive.
        """
        return limits.removable(self._graph, self._least, keep)

    def enough(self, keep, units):
        """Returns as many of some units, the first, as the budget asks for.

        Args:
            keep: As for `spare`.
            units: Those that may go.
        """

        def is_met_without(count):
            left = keep.copy()
            left[units[:count]] = False
            return self.is_met(left)

        counts = range(len(units))
        return units[: bisect.bisect_left(counts, True, key=is_met_without)]

    def report(self, keep):
        """Returns the budget, and what the finished model takes of it.

        Args:
            keep: bool, [num_units], the units that stay.

        Returns:
            dict with `resource`, `dense`, `target` and `reached`.
        """
        return {
            "resource": self.resource,
            "dense": self.dense,
            "target": self.target,
            "reached": self.amount(keep),
        }

    def _nearest(self, scores, keep):
        """Returns a mask and what the model then takes, nearest the budget."""
        found = []
        for _ in range(TRIALS):
            mask = self.choose(scores, keep)
            if found and np.array_equal(mask, found[-1][0]):
                break
            found.append((mask, self.amount(mask)))
            if self._meets(found[-1][1], self._near):
                break
        return min(found, key=lambda each: self._distance(each[1]))

    def _missed(self, amount):
        """Returns what is told of a budget that is not met."""
        nearest = f"{amount} of {self.dense}"
        if amount < 1:  # A latency, which a Budget takes as a share.
            share = math.ceil(1e4 * amount / self.dense) / 1e4
            nearest += f", a share of {share}"
        return (
            f"The budget of {self.target} {self.resource} cannot be met with "
            f"{self._settings}, nor what is at most {self._tolerance:.0%} "
            f"below. The nearest found is {nearest}. Take it as the "
            "budget, or give the Budget a larger `tolerance`."
        )

    def _trimmed(self, choice, share):
        """Returns what stays if no layer keeps more than it may."""
        sizes = np.array([len(units) for units in self._graph.unit_sets])
        most = np.ceil(sizes - (sizes - self._most) * share)
        widths, exceeding = choice.trimmed(most)
        if len(exceeding):
            units = self._graph.unit_sets[exceeding[0]]
            name = self._graph.owners[units[0]]
            raise ValueError(
                "`max_units` must leave room for frozen units and `min_units`. "
                f"Received: {self._settings}, but a layer of the units of "
                f"{name!r} cannot go down to {most[exceeding[0]]:.0f} of "
                f"{len(units)}."
            )
        return choice.mask(widths)

    def _meets(self, amount, tolerance):
        return (1 - tolerance) * self.target <= amount <= self.target

    def _distance(self, amount):
        """Returns a key that is least for the nearest, first those within."""
        return amount > self.target, abs(amount - self.target)


def _gauge(graph, budget):
    """Returns what tells how much of a resource is left at some widths."""
    if budget.resource != "latency_ms":
        return costs.Counts(graph, budget.resource)
    return latency.Latency(
        graph, budget.batch_size, budget.threads, budget.table
    )
