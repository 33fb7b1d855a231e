"""An attention whose heads can be switched off, and listened to."""

import contextlib

import keras

from tfprune.layers import channel_mask


@keras.saving.register_keras_serializable(package="tfprune")
class HeadMask(channel_mask.ChannelMask):
    """Multiplies what a layer inside of a layer returns with a mask.

    Attention is linear in the projected values, so a mask on them is one on
    the heads.

    Args:
        layer: The layer to wrap, called as `MultiHeadAttention` is.
        mask_shape: Shape of the mask, which broadcasts to what the layer
            inside returns for one example: `[1, heads, 1]` for sequences.
        inner: Name of the layer inside, which applies an `activation` last.
    """

    def __init__(self, layer, mask_shape, inner, **kwargs):
        super().__init__(layer, mask_shape, **kwargs)
        self.inner = inner

    def build(self, query_shape, value_shape, key_shape=None):
        if not self.layer.built:
            self.layer.build(query_shape, value_shape, key_shape)
        super().build()
        inner = getattr(self.layer, self.inner)
        self._plain = inner.activation
        inner.activation = self._activation

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        return self.layer(
            query,
            value,
            key,
            query_mask=query_mask,
            value_mask=value_mask,
            key_mask=key_mask,
            attention_mask=attention_mask,
            return_attention_scores=return_attention_scores,
            use_causal_mask=use_causal_mask,
        )

    def compute_output_spec(self, *args, **kwargs):
        return self.layer.compute_output_spec(*args, **kwargs)

    @contextlib.contextmanager
    def shut(self, mask):
        """Multiplies with another mask, too, in calls made meanwhile."""
        inner = getattr(self.layer, self.inner)
        inner.activation = lambda x: self._activation(x) * keras.ops.cast(
            mask, x.dtype
        )
        try:
            yield
        finally:
            inner.activation = self._activation

    def get_config(self):
        return {**super().get_config(), "inner": self.inner}

    def _activation(self, values):
        return self.masked(self._plain(values))
