"""Variance of the activations of a unit; needs no labels."""

import numpy as np
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

    def scores(self, batch):
        """Returns the variances, [num_units]."""
        means = _Moment(1, tf.zeros([batch.graph.num_units])).scores(batch)
        return _Moment(2, means).scores(batch)


class _Moment(base.Criterion):
    """Mean of a power of the outputs, less an offset of each unit."""

    def __init__(self, power, offsets):
        super().__init__("mean")
        self._power = power
        self._offsets = offsets

    def pairs(self, batch):
        return [
            (batch.units[path], self._of_tap(batch.units[path], tap))
            for path, tap in batch.taps.items()
        ]

    def _of_tap(self, units, tap):
        positions = list(range(1, tap.output.shape.rank - 1))
        offsets = tf.gather(self._offsets, np.maximum(units.ravel(), 0))
        x = tf.cast(tap.activation, offsets.dtype)
        moments = (x - offsets) ** self._power
        return tf.reduce_mean(moments, axis=positions)

    def reduce(self, contributions):
        return tf.reduce_mean(contributions, axis=0)
