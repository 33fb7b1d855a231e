"""Variance of the activations of a unit; needs no labels."""

import tensorflow as tf

from tfprune.criteria import base


class ActivationVariance(base.Criterion):
    """Variance of the outputs of a unit over examples and positions.

    Outputs are those after a ReLU, if one follows. A unit that is nearly
    constant can go into the biases of those that read it. Where several places
    are tied, it is that of all their outputs.
    """

    def __init__(self):
        super().__init__()
        self._moments = [_Moment(1), _Moment(2)]

    def scores(self, batch):
        """Returns the variances, [num_units]."""
        mean, square = (moment.scores(batch) for moment in self._moments)
        return tf.maximum(square - tf.square(mean), 0.0)


class _Moment(base.Criterion):
    """Mean of a power of the outputs."""

    def __init__(self, power):
        super().__init__("mean")
        self._power = power

    def contribution(self, tap):
        positions = list(range(1, tap.output.shape.rank - 1))
        return tf.reduce_mean(tap.activation**self._power, axis=positions)

    def reduce(self, contributions):
        return tf.reduce_mean(contributions, axis=0)
