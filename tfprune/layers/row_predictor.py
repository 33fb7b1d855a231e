"""What predicts a saliency of each row of a channel."""

import keras

from tfprune.layers import predictor


@keras.saving.register_keras_serializable(package="tfprune")
class RowPredictor(predictor.Predictor):
    """Predicts from the rows of the input those of each channel.

    The pooling is over the width, the last mapping a convolution over as many
    rows as that of the layer. What is computed in rows cannot be left out
    channel by channel, so a model with it is as slow as without gates.

    Output shape:
        [batch, rows, 1, filters].
    """

    axes = (2,)

    def rows(self, height):
        return height

    def last(self, layer):
        return self.mapping(
            layer.filters,
            (layer.kernel_size[0], 1),
            strides=(layer.strides[0], 1),
            padding=layer.padding,
            dilation_rate=(layer.dilation_rate[0], 1),
            name="wide",
        )
