"""Tests for tfprune.examples."""

import keras
from keras import layers
from keras import ops
import numpy as np
import pytest

from tfprune import examples
from tfprune import linear
from tfprune import program


def function(x):
    return x - ops.mean(x, axis=0, keepdims=True)


class Own(layers.Dense):
    """A layer of a user."""


def last_call(body, inputs=None):
    inputs = keras.Input((4, 4, 3)) if inputs is None else inputs
    model = keras.Model(inputs, body(inputs))
    return linear.calls(program.program(model))[-1]


@pytest.mark.parametrize(
    "body",
    [
        layers.Conv2D(4, 3),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Conv2DTranspose(4, 3, activation="softmax"),
        layers.Dense(3, dtype="mixed_bfloat16"),
        layers.BatchNormalization(),
        layers.LayerNormalization(axis=[1, 2]),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Softmax(),
        layers.ReLU(),
        lambda x: layers.Add()([x, x]),
        lambda x: layers.Concatenate(axis=1)([x, x]),
        lambda x: x + x,
        lambda x: x * np.ones((4, 1, 3)),
        lambda x: 1.0 / x,
        ops.relu,
    ],
)
def test_examples_alone(body):
    assert examples.alone(last_call(body))


@pytest.mark.parametrize(
    "body",
    [
        layers.Conv2D(4, 3, activation=function),
        layers.Activation(function),
        Own(3),
        layers.Softmax(axis=0),
        layers.Softmax(axis=-4),
        layers.UnitNormalization(axis=0),
        lambda x: layers.BatchNormalization()(x, training=True),
        lambda x: layers.Concatenate(axis=0)([x, x]),
        lambda x: x + layers.GlobalMaxPooling2D()(x),
        lambda x: x * np.ones((2, 1, 1, 3)),
        lambda x: ops.reshape(x, (-1, 3)),
        lambda x: ops.transpose(x, (1, 0, 2, 3)),
    ],
)
def test_examples_that_may_meet(body):
    assert not examples.alone(last_call(body))


def test_one_row_for_all_examples():
    inputs = keras.Input((3,)), keras.Input(batch_shape=(1, 3))
    assert not examples.alone(last_call(lambda x: x[0] + x[1], inputs))
