"""Mean of the squared weights of a filter (Persand et al., 2020)."""

import tensorflow as tf

from tfprune.criteria import base


class MeanSquaredWeight(base.WeightCriterion):
    """Mean square of the kernel entries that write a unit; needs no data.

    Equation 1 of "Composition of Saliency Metrics for Pruning with a Myopic
    Oracle". Entries that read a masked channel do not count.
    """

    def layer_contribution(self, weights):
        """Returns the mean over each filter, [channels]."""
        kernel = weights.kernel
        if kernel is None:
            return None
        return tf.math.divide_no_nan(
            tf.reduce_sum(tf.square(kernel), axis=0), weights.fan_in
        )
