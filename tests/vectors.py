"""Eleven examples of four features, and models of a few milliseconds."""

import keras
from keras import layers
import numpy as np
import tensorflow as tf

from tfprune import losses
from tfprune import replicas
from tfprune.layers import channel_mask

INPUTS = np.random.default_rng(0).normal(size=(11, 4)).astype("float32")
LABELS = np.arange(11) % 3


def dense(units=3, **kwargs):
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(units, **kwargs)(inputs))


def normalised():
    inputs = keras.Input((4,))
    x = layers.BatchNormalization(momentum=0.5)(layers.Dense(5)(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.ReLU()(x)))


def convolved():
    """Returns a network with a convolution of 6 filters over one pixel."""
    inputs = keras.Input((4,))
    x = layers.Reshape((1, 1, 4))(inputs)
    x = layers.Conv2D(6, 1, activation="tanh")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def tapped():
    """Returns a network with a gate before its last layer."""
    inputs = keras.Input((4,))
    hidden = layers.Dense(5, activation="relu")
    x = channel_mask.ChannelMask(hidden, (5,))(inputs)
    return keras.Model(inputs, layers.Dense(2)(x))


def batches(size, inputs=INPUTS, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(size)


def train(model, dataset, trainer, epochs=1, teacher=None):
    """Trains under the current strategy; returns the `Update` of each step."""
    loss_fn = losses.CrossEntropy()
    trainer.build(model, teacher)
    pairs, step = replicas.distribute(
        dataset, lambda *pair: trainer.step(model, loss_fn, *pair)[1]
    )
    return [step(pair) for _ in range(epochs) for pair in pairs]


def squared_error(labels, outputs):
    return tf.reduce_sum((labels - outputs) ** 2, axis=-1)


def values(variables):
    return [variable.numpy() for variable in variables]


def assert_all_close(actual, expected, **kwargs):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, **kwargs)


def error_step(kernel, bias, inputs, targets):
    """Returns the mean gradients of `squared_error` of a dense layer."""
    error = 2 * (inputs @ kernel + bias - targets) / len(inputs)
    return inputs.T @ error, error.sum(axis=0)
