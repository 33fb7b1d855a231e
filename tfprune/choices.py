"""The choice of the units that stay within a limit."""

import collections
import itertools

import numpy as np

# How far below the limit a choice may end where an exchange can do better.
TOLERANCE = 0.01


class Choice:
    """Units in the order in which they may go, and what is left of them.

    Args:
        scores: float, [num_units]; the lowest go first, ties in the order of
            their numbers.
        graph: The `ChannelGraph`.
        keep: bool, [num_units], the units that are alive.
        min_units: How many units every layer keeps at least.
    """

    def __init__(self, scores, graph, keep, min_units):
        self._keep = keep
        self._min_units = min_units
        self._layers = graph.unit_sets
        self._layers_of = _layers_of(self._layers)
        units = np.flatnonzero(keep & graph.prunable)
        units = units[np.argsort(scores[units], kind="stable")]
        self._worst_first = units.tolist()
        self._order = self._removable()

    @property
    def least(self):
        """What stays if all go that may, bool [num_units]."""
        return self._without(len(self._order))

    def within(self, gauge, limit):
        """Returns what stays within a limit, bool [num_units].

        Args:
            gauge: Function from a mask to an amount, which no unit lowers.
            limit: The largest amount; that of `least` is within it.
        """
        low, high = 0, len(self._order)
        while low < high:
            middle = (low + high) // 2
            if gauge(self._without(middle)) <= limit:
                high = middle
            else:
                low = middle + 1
        keep, amount = self._refilled(high, gauge, limit)
        if _near(amount, limit):
            return keep
        return self._exchanged(keep, gauge, limit)

    def _removable(self):
        """Returns the units that may go, worst first, [removable]."""
        alive = [int(self._keep[units].sum()) for units in self._layers]
        removable = []
        for unit in self._worst_first:
            layers = self._layers_of[unit]
            if all(alive[layer] > self._min_units for layer in layers):
                removable.append(unit)
                for layer in layers:
                    alive[layer] -= 1
        return np.array(removable, int)

    def _without(self, count):
        keep = self._keep.copy()
        keep[self._order[:count]] = False
        return keep

    def _refilled(self, count, gauge, limit):
        """Takes back what fits, best first; returns the mask and its amount."""
        keep = self._without(count)
        amount = gauge(keep)
        for unit in self._order[:count][::-1]:
            if _near(amount, limit):
                break
            keep[unit] = True
            more = gauge(keep)
            keep[unit] = more <= limit
            if keep[unit]:
                amount = more
        return keep, amount

    def _exchanged(self, keep, gauge, limit):
        """Lets the worst unit go for the best one that then lands near."""
        alive = [unit for unit in self._worst_first if keep[unit]]
        gone = [unit for unit in self._worst_first[::-1] if not keep[unit]]
        pairs = itertools.product(self._kinds(alive), self._kinds(gone))
        for goes, comes in pairs:
            trial = keep.copy()
            trial[[goes, comes]] = False, True
            near = _near(gauge(trial), limit)
            if near and self._keeps_enough(trial, goes):
                return trial
        return keep

    def _kinds(self, units):
        """Returns the first of all units that lie in the same layers."""
        firsts = {}
        for unit in units:
            firsts.setdefault(self._layers_of[unit], unit)
        return firsts.values()

    def _keeps_enough(self, keep, unit):
        return all(
            keep[self._layers[layer]].sum() >= self._min_units
            for layer in self._layers_of[unit]
        )


def _near(amount, limit):
    return (1 - TOLERANCE) * limit <= amount <= limit


def _layers_of(layers):
    """Returns the numbers of the layers of each unit, {unit: tuple}."""
    layers_of = collections.defaultdict(list)
    for number, units in enumerate(layers):
        for unit in units.tolist():
            layers_of[unit].append(number)
    return {unit: tuple(numbers) for unit, numbers in layers_of.items()}
