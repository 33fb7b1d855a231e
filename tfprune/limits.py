"""How many units each layer may keep, by the names of layers."""

import fnmatch

import numpy as np


def of_layers(graph, others, **argument):
    """Returns a number of units for each of `graph.unit_sets`, int [sets].

    Args:
        graph: A `ChannelGraph`.
        others: The number for layers that are not named.
        **argument: The name and the value of `min_units` or `max_units` of
            `budgets.select`.

    Raises:
        ValueError: As for `check`, or if a name matches no layer.
    """
    check(**argument)
    ((name, value),) = argument.items()
    if not isinstance(value, dict):
        value = {"*": value}
    numbers = np.zeros(len(graph.unit_sets), int)
    place = {x.tobytes(): i for i, x in enumerate(graph.unit_sets)}
    for pattern, number in [("*", others), *value.items()]:
        for units in _named(name, pattern, graph):
            numbers[place[units.tobytes()]] = _count(number, units, graph)
    return numbers


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


def _named(name, pattern, graph):
    """Yields the units of each output of the layers that match a pattern."""
    pairs = [pair for node in graph.nodes for pair in node.arrays.items()]
    named = [x for path, x in pairs if fnmatch.fnmatchcase(path, pattern)]
    if not named:
        raise ValueError(
            f"`{name}` must name layers of the model. Received: {pattern!r}, "
            f"which matches none of {[path for path, _ in pairs]}."
        )
    for array in sum(named, []):
        yield np.unique(array[array >= 0])


def _count(number, units, graph):
    """Returns how many of some units a number means."""
    if isinstance(number, (int, np.integer)):
        return number
    frozen, prunable = np.bincount(graph.prunable[units], minlength=2)
    return max(1, frozen + round(number * prunable))
