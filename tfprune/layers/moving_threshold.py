"""Channels win whose saliency is above a moving average."""

import keras
from keras import ops

from tfprune.layers import winners


@keras.saving.register_keras_serializable(package="tfprune")
class MovingThreshold(winners.Winners):
    """Tells which saliencies are above what the first loser has in the mean.

    So the share of channels that win is the density in the mean, and each
    example has as many as it needs.

    Args:
        momentum: Of the moving average, which training updates. Defaults to
            0.9997.
    """

    def __init__(self, momentum=0.9997, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum

    def build(self, input_shape):
        self.threshold = self.add_weight(
            initializer=keras.initializers.Constant(-0.1),
            trainable=False,
            name="threshold",
        )

    def call(self, saliencies, density, training=None):
        if training:
            losers = ops.mean(self.losers(saliencies, density))
            step = (1 - self.momentum) * (losers - self.threshold)
            self.threshold.assign_add(step)
        return saliencies > self.threshold

    def losers(self, saliencies, density):
        """Returns the largest saliency that loses, [batch]; -1 if none does."""
        channels = saliencies.shape[-1]
        wanted = self.wanted(saliencies, density)
        values, _ = ops.top_k(saliencies, channels)
        first = ops.take(values, ops.minimum(wanted, channels - 1), axis=-1)
        return ops.where(wanted < channels, first, -1.0)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}
