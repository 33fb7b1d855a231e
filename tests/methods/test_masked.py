"""Tests for tfprune.methods.masked, of what all that mask have in common."""

import keras
from keras import layers
import pytest
import tensorflow as tf

from tests.methods import tiny
from tfprune import budgets
from tfprune import criteria
from tfprune import losses
from tfprune import methods
from tfprune import schedules

BUDGET = budgets.Budget(units=0.5)
METHODS = {
    "AOFP": lambda: methods.AOFP(
        BUDGET, tiny.sgd(), steps=60, threshold=9.0, half_steps=2, warmup=1
    ),
    "Iterative": lambda: methods.Iterative(
        criteria.TaylorFO(),
        BUDGET,
        schedules.ConstantSparsity(0.5, 2, 2, frequency=1),
        tiny.sgd(),
        steps=3,
    ),
}


@pytest.mark.parametrize("make", METHODS.values(), ids=METHODS)
def test_words_with_padding(make):
    keras.utils.clear_session()  # Names begin anew, as in another thread.
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(inputs)
    x = layers.Dense(8, activation="relu")(x)
    x = layers.BatchNormalization()(layers.Dense(6)(x))
    x = layers.LSTM(4, return_sequences=True)(x)
    x = layers.GlobalAveragePooling1D()(layers.Dense(6)(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    words = tiny.RNG.integers(0, 9, (len(tiny.LABELS), 5))
    data = tf.data.Dataset.from_tensor_slices((words, tiny.LABELS)).batch(8)
    run = make()
    run.check(model, data, losses.CrossEntropy())
    run.start(model, data, losses.CrossEntropy())
    tiny.turned(run)
    assert run.finish().count_params() < model.count_params()
