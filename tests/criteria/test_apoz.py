"""Tests for tfprune.criteria.apoz."""

import keras
from keras import layers
import numpy as np
import tensorflow as tf

from tests.criteria import by_hand
from tfprune import masking
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import apoz
from tfprune.criteria import mean_activation


def test_share_that_is_not_zero_by_hand():
    # Of four outputs each: none, one and one are zero.
    found = by_hand.scores(apoz.APoZ())
    np.testing.assert_allclose(found, [1.0, 0.75, 0.75])


def test_zeros_are_those_after_the_relu():
    inputs = keras.Input((2,))
    norm = layers.BatchNormalization(name="norm")
    x = norm(layers.Dense(3, use_bias=False, name="hidden")(inputs))
    model = keras.Model(inputs, layers.Dense(1)(layers.ReLU()(x)))
    model.get_layer("hidden").kernel.assign([[1.0, -1.0, 1.0], [1.0, 1.0, -1]])
    graph = tracing.trace(model)
    examples = np.array([[3.0, 1.0], [1.0, 2.0], [2.0, 1.0], [4.0, 1.0]])
    found = scoring.score(
        masking.mask_model(model, graph),
        graph,
        [apoz.APoZ(), mean_activation.MeanActivation()],
        tf.data.Dataset.from_tensors((examples, np.zeros(4))),
        lambda labels, outputs: outputs[:, 0],
    )
    units = graph.layer_units("norm")
    # Sums are positive; differences are one of four times, then three.
    np.testing.assert_allclose(found["APoZ"][units], [1.0, 0.25, 0.75])
    np.testing.assert_allclose(
        found["MeanActivation"][units], [15 / 4, 1 / 4, 6 / 4], rtol=1e-3
    )
