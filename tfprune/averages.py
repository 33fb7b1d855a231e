"""Averages of scores: over the steps between two prunings, and beyond."""

import tensorflow as tf


class Average:
    """The mean of the scores of some steps, with a momentum over such means.

    Each time that it is taken, the mean of what was added since then goes in:

        average = momentum * average + (1 - momentum) * mean

    where the first mean is the first average (Molchanov et al., 2019,
    arXiv:1906.10771).

    Args:
        num_units: How many scores there are.
        momentum: Share of the average before, in [0, 1).

    Attributes:
        variables: The state, a list.
    """

    def __init__(self, num_units, momentum):
        self._momentum = momentum
        self._summed = tf.Variable(tf.zeros([num_units]))
        self._count = tf.Variable(0, dtype=tf.int64)
        self._average = tf.Variable(tf.zeros([num_units]))
        self._taken = tf.Variable(0, dtype=tf.int64)
        self.variables = [
            self._summed,
            self._count,
            self._average,
            self._taken,
        ]

    def add(self, scores):
        """Adds the scores of a step, float32 [num_units]."""
        self._summed.assign_add(scores)
        self._count.assign_add(1)

    def take(self):
        """Returns the average, float32 [num_units], and begins a new mean."""
        mean = self._summed.numpy() / int(self._count.numpy())
        momentum = self._momentum if self._taken > 0 else 0.0
        self._average.assign(
            momentum * self._average.numpy() + (1 - momentum) * mean
        )
        self._summed.assign(tf.zeros_like(self._summed))
        self._count.assign(0)
        self._taken.assign_add(1)
        return self._average.numpy()
