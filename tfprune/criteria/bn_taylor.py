"""Taylor importance of batch normalisation (Molchanov et al., 2019)."""

import keras
import tensorflow as tf

from tfprune.criteria import base


class BNTaylor(base.WeightCriterion):
    """`(gamma * dL/dgamma + beta * dL/dbeta) ** 2`, arXiv:1906.10771.

    It is the first-order estimate of the change of the mean loss when both are
    zeroed together.

    Args:
        beta: Whether to take `beta` in; `False` is what the authors' code
            does. Defaults to `True`.
        ties: As for `Criterion`. Defaults to `"sum"`.
    """

    def __init__(self, beta=True, ties="sum"):
        super().__init__(ties)
        self.beta = beta

    def layer_contribution(self, weights):
        """Returns the estimate of each normalisation, signed, [channels]."""
        if not isinstance(weights.layer, keras.layers.BatchNormalization):
            return None
        names = ("gamma", "beta") if self.beta else ("gamma",)
        changes = [
            weights.value(name) * weights.gradient(name)
            for name in names
            if weights.value(name) is not None
        ]
        return tf.add_n(changes) if changes else None

    def reduce(self, contributions):
        """Returns the scores, [num_units], in squared loss units."""
        return tf.square(super().reduce(contributions))
