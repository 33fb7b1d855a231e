"""Norm of the filters that make a unit (Li et al., 2017, arXiv:1608.08710)."""

import math
import numbers

import tensorflow as tf

from tfprune.criteria import base


class WeightNorm(base.WeightCriterion):
    """`p`-norm of all kernel entries that write a unit; needs no data.

    Args:
        p: Order of the norm, > 0. Defaults to 1, as in the paper.
        ties: As for `Criterion`. Defaults to `"sum"`.
    """

    def __init__(self, p=1, ties="sum"):
        if not isinstance(p, numbers.Real) or not 0 < p < math.inf:
            raise ValueError(
                f"`p` must be a positive, finite number. Received: p={p!r}."
            )
        super().__init__(ties)
        self.p = p

    def layer_contribution(self, weights):
        """Returns the sum of `|w| ** p` over each filter, [channels]."""
        kernel = weights.kernel
        if kernel is None:
            return None
        return tf.reduce_sum(tf.abs(kernel) ** self.p, axis=0)

    def reduce(self, contributions):
        """Returns the norms, [num_units]."""
        return super().reduce(contributions) ** (1 / self.p)
