"""What predicts the offset of each channel that a convolution writes."""

import keras

from tfprune.layers import predictor


@keras.saving.register_keras_serializable(package="tfprune")
class OffsetPredictor(predictor.Predictor):
    """Predicts numbers of any sign, whose biases start at 0."""

    activation = None
    bias_initializer = "zeros"

    def rescale(self, factors):
        """Multiplies what it predicts for all inputs, after `start`.

        Args:
            factors: [filters].
        """
        self.wide.bias.assign(self.wide.bias * factors)
