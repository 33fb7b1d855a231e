"""Unit numbers, issued to channels and tied where channels meet."""

import numpy as np


class Units:
    """Issues unit numbers and ties them: a union-find.

    Args:
        reasons: All reasons to freeze a unit, the one that tells most first.
    """

    def __init__(self, reasons):
        self._rank = {reason: rank for rank, reason in enumerate(reasons)}
        self._parent = []
        self._zero = []
        self._owned = {}
        self._reasons = {}  # of roots

    def new(self, count, owner=None, zero=False):
        """Returns new units, [count]; the same ones to the same owner."""
        if (id(owner), count) in self._owned:
            return self._owned[id(owner), count]
        start = len(self._parent)
        units = np.arange(start, start + count)
        self._parent.extend(units.tolist())
        self._zero.extend([zero] * count)
        if owner is not None:
            self._owned[id(owner), count] = units
        return units

    def tie(self, first, *others):
        """Makes units at the same place equal; returns their array."""
        for other in others:
            first, other = np.broadcast_arrays(first, other)
            for a, b in zip(first.ravel().tolist(), other.ravel().tolist()):
                self._join(self._root(a), self._root(b))
            first = np.where(np.asarray(self._zero)[first], other, first)
        return first

    def freeze(self, units, reason):
        """Gives units a reason to stay; of several, the first in rank."""
        for unit in np.unique(units).tolist():
            self._keep_reason(self._root(unit), reason)

    def alone(self, units):
        """Whether all of `units` are tied into a single one."""
        roots = (self._root(unit) for unit in units.ravel().tolist())
        first = next(roots, None)
        return first is not None and all(root == first for root in roots)

    def numbers(self):
        """Returns the final numbers, in the order of issue.

        Returns:
            resolved: [issued], the unit; -1 for zeros tied to no unit.
            shown: [issued], the same, but -1 for all zeros.
            reasons: For each unit, why it is frozen, or None.
        """
        roots = np.array(self._parent, int)
        while (roots[roots] != roots).any():
            roots = roots[roots]
        zero = np.array(self._zero, bool)
        found, places = np.unique(roots[~zero], return_index=True)
        order = found[np.argsort(places)]
        number = np.full(len(roots), -1)
        number[order] = np.arange(len(order))
        resolved = number[roots]
        shown = np.where(zero, -1, resolved)
        reasons = [self._reasons.get(root) for root in order.tolist()]
        return resolved, shown, reasons

    def _root(self, unit):
        parent = self._parent
        while parent[unit] != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit

    def _join(self, a, b):
        if a == b:
            return
        a, b = min(a, b), max(a, b)
        self._parent[b] = a
        if b in self._reasons:
            self._keep_reason(a, self._reasons.pop(b))

    def _keep_reason(self, root, reason):
        known = self._reasons.get(root, reason)
        self._reasons[root] = min(known, reason, key=self._rank.__getitem__)
