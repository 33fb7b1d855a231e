"""Tests for tfprune.batch_norm."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests import strategies
from tfprune import batch_norm

IMAGES = np.random.default_rng(0).normal(2, 3, (10, 4, 4, 3)).astype("float32")


class Wrapped(layers.Wrapper):
    def call(self, inputs, training=None):
        return self.layer(inputs, training=training)


class Block(layers.Layer):
    def __init__(self):
        super().__init__()
        self.norm = layers.BatchNormalization()

    def call(self, inputs, training=None):
        return self.norm(inputs, training=training)


class Listed(layers.Layer):
    def __init__(self):
        super().__init__()
        self.norms = [layers.BatchNormalization()]

    def call(self, inputs, training=None):
        return self.norms[0](inputs, training=training)


def nested(norm):
    inputs = keras.Input((4, 4, 3))
    return keras.Model(inputs, norm(inputs))


def first_norm(norm):
    inputs = keras.Input((4, 4, 3))
    x = norm(inputs)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def batches(size=4):
    labels = np.zeros(len(IMAGES), int)
    return tf.data.Dataset.from_tensor_slices((IMAGES, labels)).batch(size)


def values(variables):
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize(
    "build",
    [
        lambda: layers.BatchNormalization(),
        lambda: Wrapped(layers.BatchNormalization()),
        lambda: nested(layers.BatchNormalization()),
        lambda: nested(Wrapped(layers.BatchNormalization())),
        Block,
        Listed,
    ],
)
def test_statistics_become_the_mean_moments_of_the_batches(build):
    model = first_norm(build())
    mean, variance = batch_norm.moving_statistics(model)
    batch_norm.reestimate(model, batches(), 2)
    parts = IMAGES[:8].reshape(2, -1, 3)
    np.testing.assert_allclose(mean, parts.mean(1).mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, parts.var(1).mean(0), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_statistics_of_another_precision_are_reestimated(dtype):
    model = first_norm(layers.BatchNormalization(dtype=dtype))
    mean, _ = batch_norm.moving_statistics(model)
    batch_norm.reestimate(model, batches(), 2)
    assert mean.dtype == dtype
    expected = IMAGES[:8].reshape(2, -1, 3).mean((0, 1))
    np.testing.assert_allclose(mean, expected, rtol=1e-2)


def test_later_layers_see_inputs_normalised_by_the_batch():
    inputs = keras.Input((4, 4, 3))
    x = layers.BatchNormalization(epsilon=0.0)(inputs)
    x = layers.BatchNormalization()(layers.Rescaling(3.0, offset=1.0)(x))
    model = keras.Model(inputs, x)
    batch_norm.reestimate(model, batches(5), 2)
    mean, variance = values(model.layers[-1].non_trainable_weights)
    np.testing.assert_allclose(mean, np.ones(3), rtol=1e-4)
    np.testing.assert_allclose(variance, np.full(3, 9.0), rtol=1e-4)


def test_only_the_moving_statistics_change():
    norm = layers.BatchNormalization(momentum=0.7)
    model = first_norm(norm)
    before = values(model.trainable_variables)
    batch_norm.reestimate(model, batches(), 3)
    assert norm.momentum == 0.7
    for variable, old in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


@pytest.mark.parametrize("size", [5, 9])  # parts of 3 + 2, or 5 + 4 and 1 + 0
def test_replicas_count_by_their_examples(size):
    with strategies.two_replicas().scope():
        model = first_norm(layers.BatchNormalization())
        batch_norm.reestimate(model, batches(size), 2)
    parts = {5: [(0, 3), (3, 5), (5, 8), (8, 10)], 9: [(0, 5), (5, 9), (9, 10)]}
    weights = {5: [0.3, 0.2, 0.3, 0.2], 9: [5 / 18, 4 / 18, 0.5]}
    found = [IMAGES[i:j].reshape(-1, 3) for i, j in parts[size]]
    mean, variance = batch_norm.moving_statistics(model)
    for replica in mean.value.values:
        expected = np.average([x.mean(0) for x in found], 0, weights[size])
        np.testing.assert_allclose(replica, expected, rtol=1e-4)
    for replica in variance.value.values:
        expected = np.average([x.var(0) for x in found], 0, weights[size])
        np.testing.assert_allclose(replica, expected, rtol=1e-4)


def test_frozen_layer_keeps_its_statistics():
    inputs = keras.Input((4, 4, 3))
    frozen = layers.BatchNormalization(trainable=False)
    x = layers.BatchNormalization()(frozen(inputs))
    model = keras.Model(inputs, x)
    batch_norm.reestimate(model, batches(), 1)
    np.testing.assert_array_equal(frozen.moving_mean, np.zeros(3))
    assert np.all(model.layers[-1].moving_mean)


@pytest.mark.parametrize("count", [0, 4])
def test_number_of_batches_must_be_in_the_dataset(count):
    model = first_norm(layers.BatchNormalization())
    before = values(model.variables)
    available = min(count, 3)
    with pytest.raises(
        ValueError, match=f"batches={count}, a dataset of {available}"
    ):
        batch_norm.reestimate(model, batches(), count)
    for variable, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)
    assert model.layers[1].momentum == 0.99


def test_model_without_batch_normalization_is_refused():
    model = keras.Sequential([keras.Input((4, 4, 3))], name="plain")
    with pytest.raises(ValueError, match="trainable Batch.*'plain' without"):
        batch_norm.reestimate(model, batches(), 1)
