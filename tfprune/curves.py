"""Curves of accuracy against sparsity, over repetitions.

Sparsity is the percentage of the weights of convolutions that are removed.
"""

from typing import NamedTuple

import numpy as np

GRID = np.arange(101.0)


class Curve(NamedTuple):
    """What one run came to; the first point is the model as it was.

    Attributes:
        sparsity: Percentages, rising from 0.
        accuracy: Shares in [0, 1], as many.
    """

    sparsity: np.ndarray
    accuracy: np.ndarray


class Band(NamedTuple):
    """Mean and spread of several curves.

    Attributes:
        sparsity: Whole percentages from 0 to where the shortest curve ends.
        mean: Mean accuracy there.
        deviation: Standard deviation of the accuracy there.
    """

    sparsity: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


def band(curves):
    """Returns the `Band` of curves, which are straight between points.

    Args:
        curves: List of `Curve`s.
    """
    shortest = min(curve.sparsity[-1] for curve in curves)
    grid = GRID[shortest >= GRID]
    rows = [np.interp(grid, *curve) for curve in curves]
    return Band(grid, np.mean(rows, axis=0), np.std(rows, axis=0))


def crossing(curve, level):
    """Returns the sparsity at which the accuracy first falls below a level.

    Args:
        curve: A `Curve`.
        level: Share in [0, 1].

    Returns:
        A percentage, None if the accuracy never falls below.
    """
    below = np.flatnonzero(curve.accuracy < level)
    if not len(below):
        return None
    last = below[0]
    if last == 0:
        return 0.0
    around = slice(last - 1, last + 1)
    return float(
        np.interp(
            -level, -curve.accuracy[around], curve.sparsity[around]
        )
    )
