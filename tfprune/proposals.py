"""Candidates that several criteria propose in turn (Persand et al., 2020)."""

import itertools

import numpy as np


def round_robin(scores, active, count):
    """Returns the units that criteria propose to remove, in their order.

    The lowest of the first criterion, that of the second and so on, then the
    second lowest of each; a unit that was proposed already is not again.

    Args:
        scores: {name: float [num_units]}, low ones go first.
        active: bool, [num_units], the units that may go.
        count: How many to propose; all that are active if there are no more.

    Returns:
        {unit: name of the criterion that proposed it}.
    """
    units = np.flatnonzero(active)
    orders = {
        name: units[np.argsort(values[units], kind="stable")].tolist()
        for name, values in scores.items()
    }
    proposed = {}
    for rank, name in itertools.product(range(len(units)), orders):
        if len(proposed) == min(count, len(units)):
            break
        proposed.setdefault(orders[name][rank], name)
    return proposed
