"""Taylor importance of outputs (Molchanov et al., 2017, arXiv:1611.06440)."""

import tensorflow as tf

from tfprune.criteria import base


class TaylorOutput(base.Criterion):
    """Size of the first-order loss change of each example, per position.

    The mean over examples of `|mean over positions of output * gradient|`,
    equation 8 of the paper, where the gradient is that of the mean loss. The
    paper goes on to norm the scores of each layer, as `layer_ranking` does.

    Args:
        abs_first: Whether to take the size at each position, before the mean
            over them, as the code of Molchanov et al. (2019) does. Defaults to
            `False`.
        ties: As for `Criterion`. Defaults to `"sum"`.
    """

    def __init__(self, abs_first=False, ties="sum"):
        super().__init__(ties)
        self.abs_first = abs_first

    def contribution(self, tap):
        """Returns the mean over positions, [batch, channels]."""
        positions = list(range(1, tap.output.shape.rank - 1))
        change = tap.output * tap.output_grad
        change = tf.abs(change) if self.abs_first else change
        return tf.reduce_mean(change, axis=positions)

    def reduce(self, contributions):
        """Returns the scores, [num_units], in loss units for each position."""
        examples = tf.cast(tf.shape(contributions)[0], contributions.dtype)
        return tf.reduce_mean(tf.abs(contributions), axis=0) / examples
