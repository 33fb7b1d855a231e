"""How many units each layer may keep, by the names of layers."""

import collections
import math

import numpy as np

from tfprune.rules import base
from tfprune.rules import nodes


def least(graph, min_units):
    """Returns how many of each of `graph.unit_sets` stay at least, int [sets].

    Args:
        graph: A `ChannelGraph`.
        min_units: As for `budgets.select`.

    Raises:
        ValueError: As for `check`, or if a name matches no layer.
    """
    return _of_sets(graph, max, 1, min_units=min_units)


def most(graph, max_units):
    """Returns how many of each of `graph.unit_sets` stay at most, int [sets].

    Args:
        graph: A `ChannelGraph`.
        max_units: As for `budgets.select`.

    Raises:
        ValueError: As for `check`, or if a name matches no layer.
    """
    return _of_sets(graph, min, 1.0, max_units=max_units)


def spare(graph, limits, keep, units):
    """Returns how many of some units may go.

    Args:
        graph: A `ChannelGraph`.
        limits: Those of `least`.
        keep: bool, [num_units], which units are alive.
        units: Those of one group, int array.
    """
    left = (
        int(keep[each].sum() - limit)
        for each, limit in zip(graph.unit_sets, limits, strict=True)
        if np.isin(units, each).any()
    )
    return max(0, min(left, default=0))


def removable(graph, limits, keep):
    """Returns which units may go next, one of them, bool [num_units].

    Args:
        graph: A `ChannelGraph`.
        limits: Those of `least`.
        keep: bool, [num_units], which units are alive.
    """
    free = graph.prunable & keep
    for units, limit in zip(graph.unit_sets, limits, strict=True):
        if keep[units].sum() <= limit:
            free[units] = False
    return free


def thinned(graph):
    """Returns a mask that takes a unit of every layer that can lose one.

    Args:
        graph: A `ChannelGraph`.

    Returns:
        bool, [num_units]; every layer keeps a unit.
    """
    keep = np.ones(graph.num_units, bool)
    for units in graph.unit_sets:
        if not keep[units].all():
            continue
        for unit in units[graph.prunable[units]]:
            sets = [x for x in graph.unit_sets if unit in x]
            if all(keep[x].sum() > 1 for x in sets):
                keep[unit] = False
                break
    return keep


def check(**arguments):
    """Raises an error if an argument is no number of units, or dict of them.

    Args:
        **arguments: {name: value}.

    Raises:
        ValueError: If a number is not an int of at least 1 or a float in
            (0, 1].
    """
    for name, value in arguments.items():
        numbers = value.values() if isinstance(value, dict) else [value]
        if not all(map(_is_number, numbers)):
            raise ValueError(
                f"`{name}` must be an int of at least 1, or a float in (0, 1], "
                "the fraction of a layer's units, or a dict {name of layers: "
                f"such a number}}. Received: {name}={value!r}."
            )


def _is_number(value):
    if isinstance(value, bool):
        return False
    if isinstance(value, (int, np.integer)):
        return value >= 1
    return isinstance(value, (float, np.floating)) and 0 < value <= 1


def _of_sets(graph, strictest, others, **argument):
    """Returns the strictest number of the layers that have each unit set.

    If some that have a number have a kernel, it is the strictest of these.
    """
    check(**argument)
    ((name, value),) = argument.items()
    numbers = dict(value) if isinstance(value, dict) else {"*": value}
    others = numbers.pop("*", others)
    of_paths = {  # The last name that matches a layer counts.
        path: number
        for pattern, number in numbers.items()
        for path, _ in nodes.named(graph.nodes, pattern, name)
    }
    given = collections.defaultdict(list)  # by units, and whether of a kernel
    for node in graph.nodes:
        kernel = bool(base.rule_for(node.layer).kernels)
        for path in node.arrays.keys() & of_paths.keys():
            for array in node.arrays[path]:
                units = np.unique(array[array >= 0])
                given[units.tobytes(), kernel].append(of_paths[path])
    found = []
    for units in graph.unit_sets:
        key = units.tobytes()
        chosen = given[key, True] or given[key, False] or [others]
        found.append(strictest(_count(x, units, graph) for x in chosen))
    return np.array(found, int)


def _count(number, units, graph):
    """Returns how many of some units a number means."""
    if isinstance(number, (int, np.integer)):
        return number
    frozen, prunable = np.bincount(graph.prunable[units], minlength=2)
    # 0.1 * 30 is 3.0000000000000004, which is meant to be 3.
    return max(1, frozen + math.ceil(round(number * prunable, 3)))
