"""Tests for tfprune.criteria.bn_scale."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfprune import masking
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import bn_scale


def score(model):
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    images = np.ones((1, 4, 4, 2), "float32")
    data = tf.data.Dataset.from_tensors((images, [0]))
    scores = scoring.score(
        masked, graph, bn_scale.BNScale(), data, lambda y, x: x[:, 0]
    )
    return graph, scores["BNScale"]


def head(x):
    return layers.Dense(1)(layers.GlobalAveragePooling2D()(x))


def test_scale_by_hand():
    inputs = keras.Input((4, 4, 2))
    bn = layers.BatchNormalization()
    x = bn(layers.Conv2D(3, 1, name="conv")(inputs))
    model = keras.Model(inputs, head(x))
    bn.gamma.assign([1.0, -0.5, 2.0])
    graph, scores = score(model)
    units = graph.layer_units("conv")
    np.testing.assert_array_equal(scores[units], [1.0, 0.5, 2.0])


def test_scales_of_tied_layers_add_up():
    inputs = keras.Input((4, 4, 2))
    norms = [layers.BatchNormalization() for _ in range(2)]
    x, y = (norm(layers.Conv2D(2, 1)(inputs)) for norm in norms)
    model = keras.Model(inputs, head(layers.Add(name="add")([x, y])))
    norms[0].gamma.assign([1.0, -2.0])
    norms[1].gamma.assign([0.5, 3.0])
    graph, scores = score(model)
    units = graph.layer_units("add")
    np.testing.assert_array_equal(scores[units], [1.5, 5.0])


def test_scale_of_a_shared_layer_counts_once():
    inputs = keras.Input((4, 4, 2))
    norm = layers.BatchNormalization()
    x, y = (norm(layers.Conv2D(2, 1, name=n)(inputs)) for n in "ab")
    x, y = layers.Activation("sigmoid")(x), layers.Activation("sigmoid")(y)
    model = keras.Model(inputs, head(layers.Concatenate()([x, y])))
    norm.gamma.assign([1.0, -2.0])
    graph, scores = score(model)
    np.testing.assert_array_equal(scores[graph.layer_units("a")], [1.0, 2.0])


@pytest.mark.parametrize("norm", [None, layers.BatchNormalization(scale=False)])
def test_layer_without_a_scale_is_named(norm):
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 1, name="bare")(inputs)
    x = x if norm is None else norm(x)
    with pytest.raises(ValueError, match="BNScale .* for 3 units.*'bare'"):
        score(keras.Model(inputs, head(x)))
