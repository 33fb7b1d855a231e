"""Scale of the batch normalisation (Liu et al., 2017, arXiv:1708.06519)."""

import keras
import tensorflow as tf

from tfprune.criteria import base


class BNScale(base.WeightCriterion):
    """`|gamma|` of the batch normalisations of a unit; needs no data."""

    def layer_contribution(self, weights):
        """Returns `|gamma|`, [channels]."""
        if not isinstance(weights.layer, keras.layers.BatchNormalization):
            return None
        gamma = weights.value("gamma")
        return None if gamma is None else tf.abs(gamma)
