"""Norm of the filters that make a unit (Li et al., 2017, arXiv:1608.08710)."""

import tensorflow as tf

from tfprune.criteria import base
from tfprune.rules import base as rules


class WeightNorm(base.WeightCriterion):
    """`p`-norm of all kernel entries that write a unit; needs no data.

    Args:
        p: Order of the norm, > 0. Defaults to 1, as in the paper.
    """

    def __init__(self, p=1):
        if not p > 0:
            raise ValueError(f"`p` must be positive. Received: p={p}.")
        self.p = p

    def layer_contribution(self, layer):
        """Returns the sum of `|w| ** p` over each filter, [channels]."""
        rule = rules.rule_for(layer)
        filters = rule.filters(layer) if rule.kernels else None
        if filters is None:
            return None
        filters = tf.cast(filters, tf.float32)
        return tf.reduce_sum(tf.abs(filters) ** self.p, axis=0)

    def reduce(self, contributions):
        """Returns the norms, [num_units]."""
        return super().reduce(contributions) ** (1 / self.p)
