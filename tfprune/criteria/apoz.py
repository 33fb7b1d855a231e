"""Average percentage of zeros (Hu et al., 2016, arXiv:1607.03250)."""

import tensorflow as tf

from tfprune.criteria import base


class APoZ(base.Criterion):
    """Share of the outputs of a unit that are not zero; needs no labels.

    The paper removes the units with the largest share of zeros, which score
    lowest here. Outputs are those after a ReLU, if one follows. Places that
    are tied count by the mean.
    """

    def __init__(self):
        super().__init__("mean")

    def contribution(self, tap):
        """Returns the share over positions, [batch, channels]."""
        positions = list(range(1, tap.output.shape.rank - 1))
        active = tf.cast(tap.activation != 0, tf.float32)
        return tf.reduce_mean(active, axis=positions)

    def reduce(self, contributions):
        """Returns the shares."""
        return tf.reduce_mean(contributions, axis=0)
