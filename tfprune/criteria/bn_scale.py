"""Scale of the batch normalisation (Liu et al., 2017, arXiv:1708.06519)."""

import keras
import tensorflow as tf

from tfprune.criteria import base


class BNScale(base.WeightCriterion):
    """`|gamma|` of the batch normalisations of a unit; needs no data."""

    def layer_contribution(self, layer):
        """Returns `|gamma|`, [channels]."""
        if not isinstance(layer, keras.layers.BatchNormalization):
            return None
        if layer.gamma is None:
            return None
        return tf.abs(tf.convert_to_tensor(layer.gamma))
