"""What predicts the saliency of each channel that a convolution writes."""

import math

import keras

from tfprune.layers import poolings

_KERNEL = {"class_name": "TruncatedNormal", "config": {"stddev": 0.05}}


@keras.saving.register_keras_serializable(package="tfprune")
class Predictor(keras.layers.Layer):
    """Maps the pooled channels of the input to those of a convolution.

    It is rectified, and biases start at 1: at first all channels are about as
    salient.

    Args:
        pooling: Function of `tfprune.layers.poolings`. Defaults to `l1`, the
            mean of the absolute values, as in the paper.
        bottleneck: Factor by which fewer channels lie in between, rounded up,
            rectified. Defaults to None: nothing lies in between.

    Input shape:
        [batch, height, width, channels], that of the convolution.

    Output shape:
        [batch, 1, 1, filters].
    """

    axes = (1, 2)
    activation = "relu"
    bias_initializer = "ones"

    def __init__(self, pooling=poolings.l1, bottleneck=None, **kwargs):
        super().__init__(**kwargs)
        if bottleneck is not None and not bottleneck >= 1:
            raise ValueError(
                "`bottleneck` must be a factor of at least 1, or None. "
                f"Received: bottleneck={bottleneck!r}."
            )
        self.pooling = pooling
        self.bottleneck = bottleneck
        self.narrow = None

    def build_for(self, layer, input_shape):
        """Makes the weights for a convolution.

        Args:
            layer: The `Conv2D`.
            input_shape: Of its input.
        """
        shape = (None, None, 1, input_shape[-1])
        if self.bottleneck is not None:
            filters = math.ceil(layer.filters / self.bottleneck)
            self.narrow = self.mapping(filters, 1, name="narrow")
            self.narrow.build(shape)
            shape = self.narrow.compute_output_shape(shape)
        self.wide = self.last(layer)
        self.wide.build(shape)
        self.built = True

    def call(self, inputs):
        x = self.pooling(inputs, self.axes)
        return self.wide(x if self.narrow is None else self.narrow(x))

    def rows(self, height):
        """Returns for how many rows of an image it predicts."""
        return 1

    def start(self, values):
        """Predicts the same for all inputs.

        Args:
            values: [filters].
        """
        self.wide.kernel.assign(keras.ops.zeros_like(self.wide.kernel))
        self.wide.bias.assign(values)

    def get_config(self):
        return {
            **super().get_config(),
            "pooling": keras.saving.serialize_keras_object(self.pooling),
            "bottleneck": self.bottleneck,
        }

    @classmethod
    def from_config(cls, config):
        pooling = keras.saving.deserialize_keras_object(config["pooling"])
        return cls(**{**config, "pooling": pooling})

    def last(self, layer):
        """Returns what maps to the channels of a convolution."""
        return self.mapping(layer.filters, 1, name="wide")

    def mapping(self, filters, kernel_size, **kwargs):
        """Returns a convolution as predictors are made of."""
        return keras.layers.Conv2D(
            filters,
            kernel_size,
            activation=self.activation,
            kernel_initializer=_KERNEL,
            bias_initializer=self.bias_initializer,
            **kwargs,
        )
