"""Squeeze and excitation of which the winners take all."""

import keras

from tfprune.layers import fbs_gate


@keras.saving.register_keras_serializable(package="tfprune")
class SqueezeGate(fbs_gate.FBSGate):
    """Multiplies what is activated with its saliency; it has no `beta`.

        activation(normalized(conv(x))) * saliency

    Args:
        layer: As for `FBSGate`; it may have a bias.
        normalization: As for `FBSGate`; it may have scale and offset.
    """

    def build_beta(self, input_shape):
        pass

    def offset(self, inputs):
        return None

    def combine(self, convolved, gate, beta):
        return self.activation(convolved) * gate.boost

    def load(self, layer, normalization=None):
        self.layer.set_weights(layer.get_weights())
        if normalization is not None:
            self.normalization.set_weights(normalization.get_weights())

    def absorb(self, layer, normalization=None):
        self.load(layer, normalization)
        self.predictor.start(keras.ops.ones([layer.filters]))

    @staticmethod
    def bare(layer):
        return layer
