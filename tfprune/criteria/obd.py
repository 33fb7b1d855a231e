"""Optimal Brain Damage of gates (LeCun, Denker and Solla, 1990)."""

import tensorflow as tf

from tfprune.criteria import base
from tfprune.criteria import hessian


class OBD(base.Criterion):
    """Second derivative of the mean loss to the gate of a unit, exact.

    As in the comparison of Molchanov et al. (2019, arXiv:1906.10771): signed,
    and without the factor of a half of the original. Takes some passes for
    each unit, in inference mode.
    """

    signed = True

    def __init__(self):
        super().__init__()

    def contributions(self, batch):
        """Returns the second derivative of each example, [batch, num_units]."""
        return hessian.derivatives(batch)[1]

    def reduce(self, contributions):
        """Returns the scores, [num_units], in loss units."""
        return tf.reduce_mean(contributions, axis=0)
