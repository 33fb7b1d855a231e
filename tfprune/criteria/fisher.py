"""Fisher information of a unit (Theis et al., 2018, arXiv:1801.05787)."""

import tensorflow as tf

from tfprune.criteria import base


class Fisher(base.Criterion):
    """Half the mean square of `sum over positions of output * gradient`.

    Equation 6 of Persand et al. (2020), where the gradient is that of the mean
    loss: a second-order estimate of the loss change from first derivatives.

    Args:
        ties: As for `Criterion`. Defaults to `"sum"`.
    """

    def contribution(self, tap):
        """Returns the sum over positions, [batch, channels]."""
        positions = list(range(1, tap.output.shape.rank - 1))
        return tf.reduce_sum(tap.output * tap.output_grad, axis=positions)

    def reduce(self, contributions):
        """Returns the scores, [num_units], in squared loss units."""
        examples = tf.cast(tf.shape(contributions)[0], contributions.dtype)
        shares = contributions / examples
        return tf.reduce_mean(tf.square(shares), axis=0) / 2
