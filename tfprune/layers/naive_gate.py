"""Gates that only predict which channels will be large."""

import keras
from keras import ops

from tfprune.layers import squeeze_gate


@keras.saving.register_keras_serializable(package="tfprune")
class NaiveGate(squeeze_gate.SqueezeGate):
    """Leaves out channels, and boosts none.

    The predictor learns by regression what the pooled output is: the mean
    squared error is a loss of the layer, and its only gradient.
    """

    def combine(self, convolved, gate, beta):
        return self.activation(convolved) * gate.open

    def penalize(self, gate, outputs):
        super().penalize(gate, outputs)
        pooled = self.predictor.pooling(outputs, self.predictor.axes)
        errors = gate.saliencies - ops.stop_gradient(pooled)
        self.add_loss(ops.mean(ops.square(errors)))

    def absorb(self, layer, normalization=None):
        self.load(layer, normalization)
