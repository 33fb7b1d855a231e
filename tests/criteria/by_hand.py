"""Two examples, one row of two positions, three channels."""

import types

import numpy as np
import tensorflow as tf

from tfprune import reading

OUTPUT = np.transpose(
    [[[1, 2], [0, 3], [-1, 1]], [[2, -1], [1, 1], [0, 4]]], (0, 2, 1)
)
# Those of the sum of the losses, twice those of their mean.
GRADIENT = 2 * np.transpose(
    [
        [[0.1, -0.2], [0.3, 0.1], [0.2, 0.2]],
        [[0.1, 0.1], [-0.2, 0.2], [0.5, -0.1]],
    ],
    (0, 2, 1),
)
CURVATURE = np.transpose(
    [
        [[0.5, 0.0], [1.0, 0.5], [0.2, 0.4]],
        [[0.0, 1.0], [0.5, 0.5], [1.0, 0.1]],
    ],
    (0, 2, 1),
)


def tap(offset=0.0):
    """Returns the gate that was seen.

    Args:
        offset: What is added to its outputs. Defaults to 0.
    """
    return reading.Tap(
        (), tf.constant(OUTPUT + offset, "float64"), tf.constant(GRADIENT)
    )


def batch(offset=0.0):
    """Returns as much of a `Batch` as a criterion of gates reads.

    Args:
        offset: As for `tap`.
    """
    return types.SimpleNamespace(
        taps={"gate": tap(offset)},
        units={"gate": np.arange(3)},
        in_a_row=np.ones(3, int),
        curvatures=lambda: {"gate": tf.constant(CURVATURE)},
        graph=types.SimpleNamespace(
            num_units=3, prunable=np.ones(3, bool), owners=["gate"] * 3
        ),
    )


def scores(criterion):
    """Returns the scores of the three channels, in double precision."""
    ((_, part),) = criterion.pairs(batch())
    return criterion.reduce(part).numpy()
