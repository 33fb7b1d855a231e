"""Taylor importance of weights (Molchanov et al., 2019, arXiv:1906.10771)."""

import tensorflow as tf

from tfprune.criteria import base


class TaylorWeight(base.WeightCriterion):
    """Sum of `(w * dL/dw) ** 2` over the kernels that write a unit.

    Equation 8 of the paper: each weight is squared before the sum. Gradients
    are those of the mean loss, losses of the model itself included.
    """

    def layer_contribution(self, weights):
        """Returns the sum over each filter, [channels]."""
        kernel = weights.kernel
        if kernel is None:
            return None
        change = kernel * weights.kernel_gradient
        return tf.reduce_sum(tf.square(change), axis=0)
