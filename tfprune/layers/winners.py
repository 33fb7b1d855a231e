"""Which channels an example computes: those of the largest saliencies."""

import math

import keras
from keras import ops

_EPSILON = 1e-6  # of a channel, for 0.3 of 10 are 3


def count(density, channels):
    """Returns how many of some channels win, an int, rounded up.

    Args:
        density: Share of them, in (0, 1].
        channels: How many there are.
    """
    return math.ceil(density * channels - _EPSILON)


@keras.saving.register_keras_serializable(package="tfprune")
class Winners(keras.layers.Layer):
    """Tells which saliencies of an example are the `count` largest.

    There are exactly so many: of equal ones the first win.
    """

    def call(self, saliencies, density, training=None):
        """Returns the winners, bool, [batch, channels].

        Args:
            saliencies: At least 0, [batch, channels].
            density: Share of the channels that win, a scalar.
            training: Whether the model is trained.
        """
        _, order = ops.top_k(saliencies, saliencies.shape[-1])
        return ops.argsort(order, axis=-1) < self.wanted(saliencies, density)

    def wanted(self, saliencies, density):
        """Returns `count` as a tensor."""
        share = ops.cast(density, "float32") * saliencies.shape[-1]
        return ops.cast(ops.ceil(share - _EPSILON), "int32")
