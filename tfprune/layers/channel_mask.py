"""A layer whose output channels can be switched off, and listened to."""

import inspect

import keras

from tfprune.layers import listeners

_LISTENERS = listeners.Listeners()


@keras.saving.register_keras_serializable(package="tfprune")
class ChannelMask(keras.layers.Wrapper):
    """Multiplies the output of a layer with a mask of zeros and ones.

    The mask is a non-trainable weight. While a `tapped` block is open, each
    call also hands over its output, which is the gate that criteria read.

    Args:
        layer: The layer to wrap.
        mask_shape: Shape of the mask, which broadcasts to the output of one
            example: `[1, 1, channels]` for images.
    """

    def __init__(self, layer, mask_shape, **kwargs):
        super().__init__(layer, autocast=False, **kwargs)
        self.mask_shape = tuple(mask_shape)
        self.supports_masking = layer.supports_masking

    def build(self, input_shape=None):
        super().build(input_shape)
        self.mask = self.add_weight(
            shape=self.mask_shape,
            initializer="ones",
            trainable=False,
            name="mask",
        )

    def call(self, inputs, training=None, **kwargs):
        return self.masked(self.layer(inputs, **self.accepted(kwargs)))

    def masked(self, outputs):
        """Returns outputs that are masked, and listened to."""
        outputs = outputs * keras.ops.cast(self.mask, outputs.dtype)
        _LISTENERS.tell((self, outputs))
        return outputs

    def accepted(self, kwargs):
        """Returns those arguments of a call that the wrapped layer takes."""
        names = inspect.signature(self.layer.call).parameters
        return {k: v for k, v in kwargs.items() if k in names}

    def compute_mask(self, inputs, mask=None):
        return self.layer.compute_mask(inputs, mask)

    def compute_output_spec(self, inputs, training=None, **kwargs):
        return self.layer.compute_output_spec(inputs, **self.accepted(kwargs))

    def get_config(self):
        return {**super().get_config(), "mask_shape": self.mask_shape}


def tapped(tape):
    """Returns a context that yields a list of the gates of the calls within.

    Args:
        tape: A `tf.GradientTape`; it watches every gate.

    Yields:
        A list of `(ChannelMask, output)`, in the order of the calls in this
        thread: a replica hears of its own alone.
    """
    return _LISTENERS.listening(lambda tap: tape.watch(tap[1]))
