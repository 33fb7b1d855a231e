"""Tests for tfprune.measures."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import strategies
from tfprune import losses
from tfprune import measures as measures_lib

INPUTS = np.eye(2, dtype="float32")


def identity():
    """Returns a model of two classes that returns its inputs."""
    inputs = keras.Input((2,))
    return keras.Model(inputs, layers.Activation("linear")(inputs))


def dataset(*labels):
    return tf.data.Dataset.from_tensors((INPUTS, np.array(labels)))


def measures(**data):
    return measures_lib.Measures(losses.CrossEntropy(), **data)


def test_end_is_measured_on_test_data():
    both = measures(validation_data=dataset(0, 0), test_data=dataset(0, 1))
    assert both.final_data == "test"
    right, wrong = np.log(1 + np.exp(-1.0)), np.log(1 + np.exp(1.0))
    assert both.final(identity()) == pytest.approx(
        {"accuracy": 1.0, "loss": right}
    )
    assert both.validate(identity()) == pytest.approx(
        {"accuracy": 0.5, "validation_loss": (right + wrong) / 2}
    )
    assert len(both.datasets) == 2


def test_end_is_measured_on_validation_data_if_need_be():
    one = measures(validation_data=dataset(0, 0))
    assert one.final_data == "validation"
    assert one.final(identity())["accuracy"] == 0.5
    assert len(one.datasets) == 1


class Counting(layers.Layer):
    """Scales by a weight, and counts how often it is traced."""

    traces = 0

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        self.traces += 1
        return self.scale * inputs


@pytest.mark.parametrize(
    "strategy", [strategies.one_replica, strategies.two_replicas]
)
def test_model_is_traced_once_and_its_weights_are_read_anew(strategy):
    with strategy().scope():
        counting = Counting()
        inputs = keras.Input((2,))
        model = keras.Model(inputs, counting(inputs))
        one = measures(validation_data=dataset(0, 1))
        assert one.validate(model)["accuracy"] == 1.0
        traces = counting.traces
        counting.scale.assign(-1.0)
        assert one.validate(model)["accuracy"] == 0.0
    assert counting.traces == traces
    assert one.validate(model)["accuracy"] == 0.0  # Without the strategy.


def test_test_data_are_for_the_end_alone():
    one = measures(test_data=dataset(0, 1))
    assert one.validate(identity()) == {}
    assert one.final(identity())["accuracy"] == 1.0


def test_nothing_is_known_without_data():
    none = measures()
    assert none.final_data is None
    assert none.datasets == []
    assert none.validate(identity()) == {}
    assert none.final(identity()) == {"accuracy": None, "loss": None}


def test_accuracy_of_what_has_no_classes_is_unknown():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Dense(1)(inputs))
    one = measures_lib.Measures(
        lambda labels, outputs: outputs[:, 0] ** 2, dataset(0, 1)
    )
    assert one.final(model)["accuracy"] is None
    assert one.final(model)["loss"] >= 0
