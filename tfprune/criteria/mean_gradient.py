"""Mean size of the gradients of a unit (Persand et al., 2020)."""

import tensorflow as tf

from tfprune.criteria import base


class MeanGradient(base.Criterion):
    """Mean over examples of `|sum over positions of gradient|`, per position.

    Equation 3 of "Composition of Saliency Metrics for Pruning with a Myopic
    Oracle"; the gradient is that of the mean loss to the output of the unit,
    before a ReLU that is a layer of its own, as in the authors' code.
    """

    def contribution(self, tap):
        """Returns the mean over positions, [batch, channels]."""
        positions = list(range(1, tap.output.shape.rank - 1))
        return tf.reduce_mean(tap.output_grad, axis=positions)

    def reduce(self, contributions):
        """Returns the scores, [num_units]."""
        examples = tf.cast(tf.shape(contributions)[0], contributions.dtype)
        return tf.reduce_mean(tf.abs(contributions), axis=0) / examples
