"""The choice of the units that stay within a limit."""

import heapq
from typing import NamedTuple

import numpy as np


class Block(NamedTuple):
    """Units of one group that go together."""

    group: int
    after: int  # how many units of the group are gone when these are
    units: np.ndarray
    score: float  # the mean of the units


class Choice:
    """Blocks of units in the order in which they may go.

    Of each group the worst units go first. What is left is thus told by the
    widths, how many units of each group stay, int [groups].

    Args:
        scores: float, [num_units]; the lowest go first, ties in the order of
            their numbers.
        graph: The `ChannelGraph`.
        keep: bool, [num_units], the units that are alive.
        least: How many units each of `graph.unit_sets` keeps, int [sets].
        align: How many units of a group go together; those that are left over
            go first.
    """

    def __init__(self, scores, graph, keep, least, align):
        groups = graph.groups
        self._keep = keep
        self._all = groups.widths(keep)
        self._sets = np.stack([groups.times(x) for x in graph.unit_sets])
        self._least = np.minimum(least, self._sets @ self._all)
        self._blocks = _blocks(scores, groups, keep & graph.prunable, align)
        self._order = self._removable(np.full(len(least), -1))

    @property
    def least(self):
        """The widths if all goes that may."""
        return self._without(self._order)

    def mask(self, widths):
        """Returns the units that stay at some widths, bool [num_units]."""
        keep, gone = self._keep.copy(), self._all - widths
        for block in self._blocks:
            if gone[block.group] >= block.after:
                keep[block.units] = False
        return keep

    def trimmed(self, most):
        """Returns what stays if layers keep no more than they may.

        Args:
            most: How many units each of `graph.unit_sets` keeps at most, int
                [sets].

        Returns:
            The widths, and the numbers of the sets that keep more all the same.
        """
        widths = self._without(self._removable(most))
        return widths, np.flatnonzero(self._sets @ widths > most)

    def within(self, gauge, limit, tolerance):
        """Returns the widths of what stays within a limit.

        Args:
            gauge: Function from widths, [..., groups], to amounts, [...], that
                no unit lowers.
            limit: The largest amount; that of `least` is within it.
            tolerance: How far below the limit the amount may be, as a share of
                it, before blocks go in place of others.
        """
        lowest = (1 - tolerance) * limit
        low, high = 0, len(self._order)
        while low < high:
            middle = (low + high) // 2
            if gauge(self._without(self._order[:middle])) <= limit:
                high = middle
            else:
                low = middle + 1
        widths = self._without(self._order[:high])
        while widths is not None:
            found = self._refilled(widths, gauge, lowest, limit)
            widths = self._exchanged(found, gauge, lowest, limit)
        return found

    def _removable(self, wanted):
        """Returns the blocks that may go, worst first.

        Args:
            wanted: The blocks go of sets of more units than this, int [sets].
        """
        alive, removable = self._sets @ self._all, []
        if (alive <= wanted).all():
            return removable
        # Single items of lists are read faster than those of arrays.
        alive, wanted = alive.tolist(), wanted.tolist()
        least = self._least.tolist()
        sets_of = [np.flatnonzero(column).tolist() for column in self._sets.T]
        closed = set()  # Groups of which no more blocks may go.
        for block in self._blocks:
            if block.group in closed:
                continue
            sets, size = sets_of[block.group], len(block.units)
            due = any(alive[x] > wanted[x] for x in sets)
            if due and all(alive[x] - size >= least[x] for x in sets):
                removable.append(block)
                for x in sets:
                    alive[x] -= size
            else:
                closed.add(block.group)
        return removable

    def _without(self, blocks):
        groups = np.array([block.group for block in blocks], int)
        sizes = [len(block.units) for block in blocks]
        gone = np.bincount(groups, sizes, len(self._all))
        return self._all - gone.astype(int)

    def _refilled(self, widths, gauge, lowest, limit):
        """Takes back what fits, best first, until the amount is near."""
        full = set()
        for block in self._gone(widths):
            if gauge(widths) >= lowest:
                break
            more = _with(widths, block)
            # What does not fit never will, nor will the others of its group.
            if block.group in full or gauge(more) > limit:
                full.add(block.group)
            else:
                widths = more
        return widths

    def _exchanged(self, widths, gauge, lowest, limit):
        """Lets the worst block go for the best one that then lands near.

        Returns:
            The widths, those nearest to the limit if none are near; None if
            they are near already, or cannot be nearer.
        """
        nearest, amount = None, gauge(widths)
        comes = _first_of_groups(self._gone(widths))
        more = np.array([_with(widths, block) for block in comes])
        for goes in _first_of_groups(self._alive(widths)):
            if amount >= lowest or not comes:
                break
            trials = more.copy()
            trials[:, goes.group] -= len(goes.units)
            amounts = gauge(trials)
            fits = (amounts > amount) & (amounts <= limit)
            fits[fits] = self._enough(trials[fits])
            # All that are near are equal, and the first of them is the best.
            amounts = np.where(fits, np.minimum(amounts, lowest), amount)
            best = amounts.argmax()
            if amounts[best] > amount:
                nearest, amount = trials[best], amounts[best]
        return nearest

    def _enough(self, widths):
        """Returns which of some widths leave every set enough, [n]."""
        return (widths @ self._sets.T >= self._least).all(axis=-1)

    def _gone(self, widths):
        """Returns the blocks that are gone, best first."""
        gone = self._all - widths
        return [x for x in self._blocks[::-1] if gone[x.group] >= x.after]

    def _alive(self, widths):
        """Returns the blocks that are alive, worst first."""
        gone = self._all - widths
        return [x for x in self._blocks if gone[x.group] < x.after]


def checked(what, scores, graph, keep):
    """Returns scores as a float array, [num_units].

    Args:
        what: What errors call them.
        scores: [num_units], or a dict with those of one criterion.
        graph: As for `Choice`.
        keep: The same.

    Raises:
        ValueError: If they are something else, or not finite for a prunable
            unit that is alive.
    """
    if isinstance(scores, dict):
        if len(scores) != 1:
            raise ValueError(
                f"{what} must be those of one criterion. "
                f"Received: {list(scores)}."
            )
        (scores,) = scores.values()
    scores = np.asarray(scores, float)
    if scores.shape != (graph.num_units,):
        raise ValueError(
            f"{what} must be of shape [{graph.num_units}]. "
            f"Received: {list(scores.shape)}."
        )
    wrong = np.flatnonzero(~np.isfinite(scores) & keep & graph.prunable)
    if len(wrong):
        raise ValueError(
            f"{what} must be finite. Received: {scores[wrong[0]]} for unit "
            f"{wrong[0]} of layer {graph.owners[int(wrong[0])]!r}."
        )
    return scores


def _blocks(scores, groups, alive, align):
    """Returns the blocks of all groups, worst first."""
    units = np.flatnonzero(alive)
    units = units[np.argsort(scores[units], kind="stable")]
    units = units[np.argsort(groups.of_unit[units], kind="stable")]
    starts = np.flatnonzero(np.diff(groups.of_unit[units])) + 1
    rows = []
    for members in filter(len, np.split(units, starts)):
        cuts = range(len(members) % align or align, len(members), align)
        parts = np.split(members, cuts)
        means = np.add.reduceat(scores[members], [0, *cuts])
        means /= [len(part) for part in parts]
        group = int(groups.of_unit[members[0]])
        afters = [*cuts, len(members)]
        rows.append([Block(group, *x) for x in zip(afters, parts, means)])
    # A merge keeps the order in a group, however the means are rounded.
    return list(heapq.merge(*rows, key=lambda x: (x.score, x.units[0])))


def _with(widths, block):
    more = widths.copy()
    more[block.group] += len(block.units)
    return more


def _first_of_groups(blocks):
    """Returns the first block of each group, in their order."""
    firsts = {}
    for block in blocks:
        firsts.setdefault(block.group, block)
    return list(firsts.values())
