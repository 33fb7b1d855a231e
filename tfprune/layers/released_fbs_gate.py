"""Feature boosting and suppression, as the authors' code does by default."""

import keras

from tfprune.layers import fbs_gate


@keras.saving.register_keras_serializable(package="tfprune")
class ReleasedFBSGate(fbs_gate.FBSGate):
    """Adds the offset after the saliency, where the paper does so before.

        activation(normalized(conv(x)) * saliency + beta)
    """

    def combine(self, convolved, gate, beta):
        return self.activation(convolved * gate.boost + beta * gate.open)

    def rescale_beta(self, scale):
        pass
