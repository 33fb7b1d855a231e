"""Norm of the filters that make a unit (Li et al., 2017, arXiv:1608.08710)."""

import tensorflow as tf

from tfprune.criteria import base


class WeightNorm(base.Criterion):
    """`p`-norm of all kernel entries that write a unit; needs no data.

    Args:
        p: Order of the norm, > 0. Defaults to 1, as in the paper.
    """

    def __init__(self, p=1):
        if not p > 0:
            raise ValueError(f"`p` must be positive. Received: p={p}.")
        self.p = p

    def contribution(self, tap):
        """Returns the sum of `|w| ** p` over each filter, [1, channels]."""
        if tap.filters is None:
            return None
        powers = tf.abs(tap.filters) ** self.p
        return tf.reduce_sum(powers, axis=0, keepdims=True)

    def reduce(self, contributions):
        """Returns the norms, [num_units]; all replicas see the same kernels."""
        return tf.reduce_mean(contributions, axis=0) ** (1 / self.p)
