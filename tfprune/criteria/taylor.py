"""First-order Taylor importance (Molchanov et al., 2019, arXiv:1906.10771)."""

import tensorflow as tf

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
    """

    def __init__(self, per_example=False):
        self.per_example = per_example

    def contribution(self, tap):
        """Returns the share of each example in `dL/dg`, [batch, channels]."""
        positions = list(range(1, tap.output.shape.rank - 1))
        return tf.reduce_sum(tap.output * tap.output_grad, axis=positions)

    def reduce(self, contributions):
        """Returns the scores, [num_units], in squared loss units."""
        examples = tf.cast(tf.shape(contributions)[0], contributions.dtype)
        shares = contributions / examples
        if self.per_example:
            return tf.reduce_sum(tf.square(shares), axis=0)
        return tf.square(tf.reduce_sum(shares, axis=0))
