"""Groups of units that lie in the same places."""

import numpy as np


class Groups:
    """The units of a graph, those together that no length tells apart.

    Units of one group lie in the same tensors and variables, equally often,
    and are all prunable or all frozen. The length of any axis thus depends
    only on how many units of each group stay, the *widths*, [groups]. The last
    group stands for the channels without a unit; its width is 1.

    Args:
        graph: A `ChannelGraph`.

    Attributes:
        of_unit: int, [num_units], the group of each unit.
        prunable: bool, [groups].
    """

    def __init__(self, graph):
        self._numbers = _numbers(graph)
        self.of_unit = self._numbers[:-1]
        self._sizes = np.bincount(self._numbers)
        self.prunable = np.zeros(len(self._sizes), bool)
        self.prunable[self.of_unit[graph.prunable]] = True

    def members(self, group):
        """Returns the units of a group, int [units]."""
        return np.flatnonzero(self.of_unit == group)

    def widths(self, keep):
        """Returns how many units of each group a mask keeps, int [groups]."""
        stays = np.append(keep, True)
        return np.bincount(self._numbers[stays], minlength=len(self._sizes))

    def times(self, units):
        """Returns how often a unit of each group lies in an array, [groups].

        Args:
            units: int array, an axis of a variable or all of a tensor; -1
                where a channel has no unit. With `widths`, its kept length is
                `times(units) @ widths`.
        """
        numbers = self._numbers[np.ravel(units)]
        return np.bincount(numbers, minlength=len(self._sizes)) // self._sizes


def _numbers(graph):
    """Returns the group of each unit and, last, of no unit, [num_units + 1].

    Each array splits the groups of its units by how often they lie in it.
    """
    numbers = np.append(graph.prunable, False).astype(int)
    for array in _arrays(graph):
        units, times = np.unique(array[array >= 0], return_counts=True)
        pairs = np.stack([numbers[units], times], axis=1)
        _, parts = np.unique(pairs, axis=0, return_inverse=True)
        numbers[units] = numbers.max() + 1 + parts.ravel()
    numbers[-1] = numbers.max() + 1
    return np.unique(numbers, return_inverse=True)[1]


def _arrays(graph):
    """Returns the different arrays of units of all tensors and variables."""
    arrays = {}
    for node in graph.nodes:
        axes = [x for each in node.axes.values() for x in each]
        masked = sum(node.arrays.values(), [])
        for array in (*node.inputs, *masked, *axes):
            if array is not None:
                arrays.setdefault(array.tobytes(), array)
    return arrays.values()
