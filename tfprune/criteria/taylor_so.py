"""Second-order Taylor importance (Molchanov et al., 2019, arXiv:1906.10771)."""

import tensorflow as tf

from tfprune.criteria import base
from tfprune.criteria import hessian


class TaylorSO(base.Criterion):
    """Squared second-order estimate of the loss change without a unit.

    It is `(-g + h / 2) ** 2`, equation 6 of the paper with gates of 1: `g` and
    `h` are the derivatives of the mean loss to the gate, exact. Takes some
    passes for each unit, in inference mode.
    """

    def __init__(self):
        super().__init__()

    def contributions(self, batch):
        """Returns the estimate of each example, [batch, num_units]."""
        first, second = hessian.derivatives(batch)
        return second / 2 - first

    def reduce(self, contributions):
        """Returns the scores, [num_units], in squared loss units."""
        return tf.square(tf.reduce_mean(contributions, axis=0))
