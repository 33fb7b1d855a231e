"""First-order Taylor importance (Molchanov et al., 2019, arXiv:1906.10771)."""

import numpy as np
import tensorflow as tf

from tfprune import checks
from tfprune.criteria import base


class TaylorFO(base.Criterion):
    """Squared first-order estimate of the loss change when a unit is zeroed.

    A gate `g = 1` multiplies the channel, so `dL/dg` is the sum of
    `output * output_grad` over positions, and removing the channel changes
    the mean loss by `-dL/dg` to first order.

    Args:
        per_example: Whether to square the share of every example in `dL/dg`
            before they are summed, the paper's "full gradient" variant.
            Defaults to `False`: sum, then square.
        row_power: Where the same gate multiplies a channel m times in a row,
            as before and after a depthwise convolution, `dL/dg` counts it m
            times and is divided by `m ** row_power`. Defaults to 0.5, which
            divides the score by m; 1 divides it by m squared; 0 leaves it.
        ties: As for `Criterion`. Defaults to `"sum"`.

    Raises:
        ValueError: If `row_power` is negative, or `ties` is none of those.
    """

    def __init__(self, per_example=False, row_power=0.5, ties="sum"):
        checks.check_number(row_power=row_power)
        super().__init__(ties)
        self.per_example = per_example
        self.row_power = row_power

    def contribution(self, tap):
        """Returns the share of each example in `dL/dg`, [batch, channels]."""
        positions = list(range(1, tap.output.shape.rank - 1))
        return tf.reduce_sum(tap.output * tap.output_grad, axis=positions)

    def pairs(self, batch):
        rows = np.append(np.maximum(batch.in_a_row, 1), 1) ** self.row_power
        return [
            (units, part / rows[units.ravel()].astype("float32"))
            for units, part in super().pairs(batch)
        ]

    def reduce(self, contributions):
        """Returns the scores, [num_units], in squared loss units."""
        examples = tf.cast(tf.shape(contributions)[0], contributions.dtype)
        shares = contributions / examples
        if self.per_example:
            return tf.reduce_sum(tf.square(shares), axis=0)
        return tf.square(tf.reduce_sum(shares, axis=0))
