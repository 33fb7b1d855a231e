"""Scale of the batch normalisation (Liu et al., 2017, arXiv:1708.06519)."""

import keras
import tensorflow as tf

from tfprune.criteria import base


class BNScale(base.Criterion):
    """`|gamma|` of the batch normalisations of a unit; needs no data."""

    def contribution(self, tap):
        """Returns `|gamma|`, [1, channels]."""
        scales = [
            tf.abs(tf.convert_to_tensor(layer.gamma))
            for layer in tap.layers
            if isinstance(layer, keras.layers.BatchNormalization)
            and layer.gamma is not None
        ]
        return tf.add_n(scales)[tf.newaxis] if scales else None

    def reduce(self, contributions):
        """Returns the scales, [num_units]; all replicas see the same ones."""
        return tf.reduce_mean(contributions, axis=0)
