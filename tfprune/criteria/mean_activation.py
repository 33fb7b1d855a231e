"""Mean size of the activations of a unit (Persand et al., 2020)."""

import tensorflow as tf

from tfprune.criteria import base


class MeanActivation(base.Criterion):
    """Mean of `|output|` over examples and positions; needs no labels.

    Outputs are those after a ReLU, if one follows. Equation 2 of "Composition
    of Saliency Metrics for Pruning with a Myopic Oracle".
    """

    def contribution(self, tap):
        """Returns the mean over positions, [batch, channels]."""
        positions = list(range(1, tap.output.shape.rank - 1))
        return tf.reduce_mean(tf.abs(tap.activation), axis=positions)

    def reduce(self, contributions):
        """Returns the means, [num_units]."""
        return tf.reduce_mean(contributions, axis=0)
