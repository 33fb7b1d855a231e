"""Random scores, the baseline that every other criterion must beat."""

import tensorflow as tf

from tfprune import checks
from tfprune.criteria import base


class Random(base.Criterion):
    """Uniform draws in [0, 1), the same in each batch.

    Args:
        seed: Seed of the draws, an int of at least 0. Defaults to 0.
    """

    def __init__(self, seed=0):
        super().__init__()
        checks.check_counts(least=0, seed=seed)
        self.seed = seed

    def contributions(self, batch):
        shape = [1, batch.graph.num_units]
        return tf.random.stateless_uniform(shape, seed=[self.seed, 0])

    def reduce(self, contributions):
        """Returns the draws, [num_units]."""
        return tf.reduce_mean(contributions, axis=0)
