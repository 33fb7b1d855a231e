"""Networks, data and trainers of a moment, and how a method is turned."""

import keras
from keras import layers
import numpy as np
import tensorflow as tf

from tfprune import masking
from tfprune import training

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(22, 8, 8, 3)).astype("float32")
LABELS = RNG.integers(0, 3, 22)


def plain():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(10, 3, activation="relu", name="first")(inputs)
    x = layers.Conv2D(6, 3, activation="relu", name="second")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def regular():
    """Returns a network with batch normalisation and dropout."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(10, 3, use_bias=False, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dropout(0.3)(layers.Conv2D(6, 3, name="second")(x))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def batches(size=8):
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(size)


def sgd(rate=0.05, **kwargs):
    return training.Trainer(keras.optimizers.SGD(rate, momentum=0.9), **kwargs)


def turned(run):
    """Does all rounds of a method; returns its records and masks."""
    records, masks = [], []
    while not run.done:
        records.append(run.step())
        masks.append(masking.get_mask(run.model, run.graph))
    return records, masks
