"""Feature boosting and suppression (Gao et al., 2019, arXiv:1810.05331)."""

from typing import NamedTuple

import keras
from keras import ops

from tfprune.layers import listeners
from tfprune.layers import predictor as predictor_lib
from tfprune.layers import winners as winners_lib

_LISTENERS = listeners.Listeners()
# What a gate does in the place of the layers that it is made of.
_PLAIN = {
    "use_bias": False,
    "activation": "linear",
    "center": False,
    "scale": False,
}


class Gate(NamedTuple):
    """What is let through of each channel.

    Attributes:
        saliencies: At least 0; [batch, 1, 1, channels], or with as many rows as
            the output.
        open: 1 for channels that are computed, 0 for others; the same shape.
    """

    saliencies: object
    open: object

    @property
    def boost(self):
        """The saliencies of what is open, 0 elsewhere."""
        return self.saliencies * self.open


@keras.saving.register_keras_serializable(package="tfprune")
class FBSGate(keras.layers.Wrapper):
    """Computes those channels of a convolution that its input asks for.

    A `predictor` tells from the input how salient each channel is. Those of the
    `winners` are computed, and multiplied with their saliency, which takes the
    place of the scale of batch normalisation:

        activation((normalized(conv(x)) + beta) * saliency)

    Others are 0. Which ones win is a constant for gradients.

    Args:
        layer: A `keras.layers.Conv2D`, whose channels come last. Its bias and
            activation are left out, for `beta` and that of the gate.
        normalization: A `BatchNormalization`, or a `GroupNormalization` of
            single channels, between the convolution and `beta`; its scale and
            offset are left out. Defaults to None.
        activation: Of the output, 0 for 0. Defaults to None: linear.
        density: Share of the channels that are computed, in (0, 1]. Defaults to
            1.0.
        predictor: A `Predictor`. Defaults to None: a new one.
        winners: A `Winners` of any kind. Defaults to None: a new one.
        beta: An `OffsetPredictor` of `beta`. Defaults to None: it is the same
            for all examples.
        regularizer: A `GateRegularizer`, or another function of gates, [batch,
            channels], to a loss. Defaults to None.
    """

    def __init__(
        self,
        layer,
        normalization=None,
        activation=None,
        density=1.0,
        predictor=None,
        winners=None,
        beta=None,
        regularizer=None,
        **kwargs,
    ):
        super().__init__(self.bare(layer), **kwargs)
        if normalization is not None:
            normalization = self.bare(normalization)
        self.normalization = normalization
        self.activation = keras.activations.get(activation)
        self.initial_density = density
        self.predictor = predictor or predictor_lib.Predictor()
        self.winners = winners or winners_lib.Winners()
        self.beta_predictor = beta
        self.regularizer = keras.regularizers.get(regularizer)

    def build(self, input_shape):
        super().build(input_shape)
        outputs = self.layer.compute_output_shape(input_shape)
        if self.normalization is not None and not self.normalization.built:
            self.normalization.build(outputs)
        self.density = self.add_weight(
            initializer=keras.initializers.Constant(self.initial_density),
            trainable=False,
            name="density",
        )
        self.predictor.build_for(self.layer, input_shape)
        if not self.winners.built:
            self.winners.build(input_shape)
        self.build_beta(input_shape)

    def build_beta(self, input_shape):
        """Makes the offset."""
        if self.beta_predictor is not None:
            self.beta_predictor.build_for(self.layer, input_shape)
            return
        self.beta = self.add_weight(
            shape=(self.layer.filters,), initializer="zeros", name="beta"
        )

    def call(self, inputs, training=None):
        gate = self.gate(inputs, training)
        beta = self.offset(inputs)
        outputs = self.combine(self.convolved(inputs, training), gate, beta)
        self.penalize(gate, outputs)
        _LISTENERS.tell((self, gate))
        return outputs

    def penalize(self, gate, outputs):
        """Adds what is learnt besides the loss of the model."""
        if self.regularizer is not None:
            self.add_loss(self.regularizer(_flat(gate.boost)))

    def gate(self, inputs, training=None):
        """Returns the `Gate` of some inputs."""
        saliencies = self.predictor(inputs)
        open = self.winners(
            _flat(saliencies), density=self.density, training=training
        )
        open = ops.reshape(open, ops.shape(saliencies))
        return Gate(saliencies, ops.cast(open, saliencies.dtype))

    def offset(self, inputs):
        """Returns `beta`, of a shape that broadcasts to the output."""
        if self.beta_predictor is not None:
            return self.beta_predictor(inputs)
        return self.beta

    def convolved(self, inputs, training=None):
        """Returns the normalised convolution."""
        outputs = self.layer(inputs)
        if self.normalization is None:
            return outputs
        return self.normalization(outputs, training=training)

    def combine(self, convolved, gate, beta):
        """Returns the output.

        Args:
            convolved: As `convolved` returns it.
            gate: The `Gate`.
            beta: As `offset` returns it.
        """
        return self.activation((convolved + beta) * gate.boost)

    def load(self, layer, normalization=None):
        """Takes the weights of trained layers, but for their scale.

        Args:
            layer: A `Conv2D` as that of the gate, with a bias or without.
            normalization: The `BatchNormalization` after it, or None.
        """
        offset = layer.bias if layer.use_bias else 0.0
        self.layer.kernel.assign(layer.kernel)
        if normalization is not None:
            mean = normalization.moving_mean - offset
            self.normalization.moving_mean.assign(mean)
            variance = normalization.moving_variance
            self.normalization.moving_variance.assign(variance)
            offset = normalization.beta if normalization.center else 0.0
        self._start_beta(offset)

    def absorb(self, layer, normalization=None):
        """Takes the weights of trained layers, and their scale as saliencies.

        With a density of 1 it computes what they do. The sign of a scale goes
        to the filter; a channel of scale 0 becomes a constant.

        Args:
            layer: As for `load`.
            normalization: As for `load`.
        """
        self.load(layer, normalization)
        scale = ops.ones([layer.filters])
        if normalization is not None and normalization.scale:
            scale = ops.convert_to_tensor(normalization.gamma)
            sign = ops.sign(scale)
            mean = self.normalization.moving_mean
            mean.assign(mean * sign)
            self.layer.kernel.assign(self.layer.kernel * sign)
            scale = ops.where(sign == 0, 1.0, ops.abs(scale))
        self.predictor.start(scale)
        self.rescale_beta(scale)

    def rescale_beta(self, scale):
        """Makes the offset that of what `scale` multiplies afterwards."""
        if self.beta_predictor is None:
            self.beta.assign(self.beta / scale)
        else:
            self.beta_predictor.rescale(1 / scale)

    def _start_beta(self, offset):
        offset = ops.broadcast_to(offset, [self.layer.filters])
        if self.beta_predictor is None:
            self.beta.assign(offset)
        else:
            self.beta_predictor.start(offset)

    @staticmethod
    def bare(layer):
        """Returns a layer without bias, activation, scale and offset.

        Raises:
            ValueError: If it has weights of such already.
        """
        config = layer.get_config()
        plain = {k: v for k, v in _PLAIN.items() if config.get(k, v) != v}
        if not plain:
            return layer
        if layer.built:
            raise ValueError(
                "A gate is made of layers without bias, scale and offset, or "
                f"without weights so far. Received: {layer.name!r}, which is "
                "built. Give the gate a new layer, and call its `absorb`."
            )
        return type(layer).from_config({**config, **plain})

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        parts = {
            "normalization": self.normalization,
            "activation": self.activation,
            "predictor": self.predictor,
            "winners": self.winners,
            "beta": self.beta_predictor,
            "regularizer": self.regularizer,
        }
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "density": self.initial_density,
            **{name: serialize(part) for name, part in parts.items()},
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{k: _made(v) for k, v in config.items()})


def listening():
    """Returns a context that yields a list of the gates of the calls within.

    Yields:
        A list of `(FBSGate, Gate)`, in the order of the calls in this thread.
    """
    return _LISTENERS.listening()


def _flat(gates):
    rows, columns, channels = gates.shape[1:]
    return ops.reshape(gates, (-1, rows * columns * channels))


def _made(value):
    """Returns what a part of a config was made from."""
    if isinstance(value, dict) and "class_name" in value:
        return keras.saving.deserialize_keras_object(value)
    return value
