"""Tests for tfprune.identity."""

import json

import keras
from keras import layers
import pytest
import tensorflow as tf

from tests import tiny_run
from tfprune import budgets
from tfprune import criteria
from tfprune import identity
from tfprune import losses
from tfprune import rankings
from tfprune import training


class Renamed:
    """A loss that does not keep its argument under its name."""

    def __init__(self, gamma):
        self.g = gamma


def scaled(factor):
    return lambda labels, outputs: factor * outputs


def network(filters=4, strides=1, activation="relu", shortcut=False):
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(filters, 3, strides, "same", activation=activation)(
        inputs
    )
    x = x + 2.0 * x if shortcut else x
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def described(model=None, trained=False, **settings):
    return identity.describe(
        model or network(), tiny_run.dataset(), trained, **settings
    )


def test_same_settings_have_the_same_text():
    keras.utils.set_random_seed(3)
    first = described(trained=True, method=tiny_run.method(), seed=1)
    layers.Conv2D(3, 3)  # Keras numbers the names of later layers.
    keras.utils.set_random_seed(3)
    again = described(trained=True, method=tiny_run.method(), seed=1)
    assert first == again
    assert json.loads(first)["seed"] == 1


def test_settings_are_described_before_and_after_a_run():
    method = tiny_run.method()
    before = described(method=method)
    method.start(network(), tiny_run.dataset(), losses.CrossEntropy())
    method.step()
    assert described(method=method) == before


@pytest.mark.parametrize(
    "change",
    [
        {"filters": 5},
        {"strides": 2},
        {"activation": "elu"},
        {"shortcut": True},
    ],
)
def test_models_differ(change):
    assert described(network(**change)) != described()


def test_place_of_a_layer_counts():
    def between(first):
        inputs = keras.Input((4, 4, 2))
        x, y = layers.ReLU()(inputs), layers.ReLU()(inputs)
        outputs = layers.Add()([layers.Dense(2)(x), x if first else y])
        return keras.Model(inputs, outputs)

    assert described(between(True)) != described(between(False))


def test_weights_count_if_they_are_trained():
    assert described(trained=True) != described(trained=True)
    assert described(trained=False) == described(trained=False)


@pytest.mark.parametrize(
    "change",
    [
        {"criterion": criteria.WeightNorm(p=2)},
        {"criterion": criteria.TaylorFO(per_example=True)},
        {"budget": budgets.Budget(macs=0.4)},
        {"budget": budgets.Budget(params=0.5)},
        {"steps": 16},
        {"rate": 0.06},
        {"rate": keras.optimizers.schedules.CosineDecay(0.05, 10)},
        {"ranking": rankings.uniform_ranking},
        {"frozen": ["conv2d"]},
        {
            "trainer": training.Trainer(
                keras.optimizers.SGD(0.05, momentum=0.9), weight_decay=1e-4
            )
        },
        {
            "trainer": training.Trainer(
                keras.optimizers.SGD(0.05, momentum=0.9),
                distillation=losses.Distillation(0.3),
            )
        },
    ],
)
def test_methods_differ(change):
    assert described(method=tiny_run.method(**change)) != described(
        method=tiny_run.method()
    )


@pytest.mark.parametrize(
    "one, other",
    [
        (losses.CrossEntropy(), losses.CrossEntropy(0.1)),
        (scaled(1), scaled(2)),
        (tiny_run.dataset(), tiny_run.dataset().take(1)),
        (None, tiny_run.dataset()),
        (network(4), network(5)),
        (network(4), network(4)),  # of other weights
    ],
)
def test_values_differ(one, other):
    assert described(value=one) == described(value=one)
    assert described(value=one) != described(value=other)


def test_model_itself_among_the_settings_has_no_weights():
    def penalty(model):
        return lambda labels, outputs: sum(model.losses)

    one, other = network(), network()
    assert described(one, loss_fn=penalty(one)) == described(
        other, loss_fn=penalty(other)
    )


def test_no_dataset_is_read():
    def examples():
        raise AssertionError("An example was read.")
        yield

    dataset = tf.data.Dataset.from_generator(
        examples, output_signature=tf.TensorSpec([4])
    )
    text = identity.describe(network(), dataset, False, test_data=dataset)
    assert "(4,)" in json.loads(text)["dataset"]
    assert json.loads(text)["test_data"] == json.loads(text)["dataset"]


def test_setting_that_cannot_be_described_is_named():
    with pytest.raises(
        ValueError, match="`loss_fn` with an object of Renamed.*pass `config`"
    ):
        described(loss_fn=Renamed(2.0))


def test_schedule_without_a_config():
    class Halving(keras.optimizers.schedules.LearningRateSchedule):
        def __init__(self, first):
            self.first = first

        def __call__(self, step):
            return self.first / (1.0 + tf.cast(step, tf.float32))

    one, other = (
        described(optimizer=keras.optimizers.SGD(Halving(rate)))
        for rate in (0.1, 0.2)
    )
    assert one != other


def test_difference_is_read_in_one_line():
    lines = [
        described(method=tiny_run.method(steps=steps)).splitlines()
        for steps in (12, 16)
    ]
    differing = [pair for pair in zip(*lines) if pair[0] != pair[1]]
    assert differing[-1] == ('   "steps": 12,', '   "steps": 16,')
    assert len(differing) == 2  # the schedule ends earlier, too
