"""Tests for tfprune.fitting."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import vectors
from tfprune import fitting
from tfprune import losses
from tfprune import training


def test_history_has_a_record_for_each_epoch():
    records = []
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [3, 5], [0.3, 0.2, 0.1]
    )
    history = fitting.fit(
        vectors.dense(),
        vectors.batches(4),
        losses.CrossEntropy(),
        training.Trainer(keras.optimizers.SGD(schedule)),
        steps=8,
        validation_data=vectors.batches(11),
        on_record=records.append,
    )
    assert records == history
    assert [r["epoch"] for r in history] == [1, 2, 3]
    assert [r["step"] for r in history] == [3, 6, 8]
    rates = [r["learning_rate"] for r in history]
    np.testing.assert_allclose(rates, [0.3, 0.1, 0.1])
    assert list(history[0]) == [
        "epoch",
        "step",
        "loss",
        "learning_rate",
        "validation_loss",
        "validation_accuracy",
    ]


def test_infinite_dataset_is_read_for_some_steps():
    (record,) = fitting.fit(
        vectors.dense(),
        vectors.batches(4).repeat(),
        losses.CrossEntropy(),
        training.Trainer(keras.optimizers.SGD(0.1)),
        steps=7,
    )
    assert record["step"] == 7


@pytest.mark.parametrize(
    "duration, message",
    [
        ({}, "Exactly one .* Received: epochs=None, steps=None"),
        ({"epochs": 1, "steps": 1}, "Exactly one .* epochs=1, steps=1"),
        ({"epochs": 0}, "1 or more. Received: epochs=0, steps=None"),
        ({"steps": 0}, "1 or more. Received: epochs=None, steps=0"),
        ({"epochs": 1}, "an infinite dataset, epochs=1; give `steps`"),
    ],
)
def test_duration_must_be_clear(duration, message):
    with pytest.raises(ValueError, match=message):
        fitting.fit(
            vectors.dense(),
            vectors.batches(4).repeat(),
            losses.CrossEntropy(),
            training.Trainer(keras.optimizers.SGD(0.1)),
            **duration,
        )


def test_dataset_that_can_be_read_once_is_refused():
    once = iter(list(vectors.batches(4)))
    dataset = tf.data.Dataset.from_generator(
        lambda: once, output_signature=vectors.batches(4).element_spec
    )
    with pytest.raises(ValueError, match="Received: 0 batches in epoch 2"):
        fitting.fit(
            vectors.dense(),
            dataset,
            losses.CrossEntropy(),
            training.Trainer(keras.optimizers.SGD(0.1)),
            steps=7,
        )


@pytest.mark.parametrize(
    "training_labels, validation_labels",
    [
        (vectors.LABELS + 2, vectors.LABELS),
        (vectors.LABELS, vectors.LABELS + 2),
    ],
)
def test_bad_batch_is_refused_before_training(
    training_labels, validation_labels
):
    model = vectors.dense()
    before = model.get_weights()
    with pytest.raises(ValueError, match="Received: labels 3, 4"):
        fitting.fit(
            model,
            vectors.batches(4, labels=training_labels),
            losses.CrossEntropy(),
            training.Trainer(keras.optimizers.SGD(0.1)),
            epochs=1,
            validation_data=vectors.batches(4, labels=validation_labels),
        )
    vectors.assert_all_close(model.get_weights(), before, rtol=0)


def test_resumed_training_equals_uninterrupted(tmp_path):
    def parts():
        keras.utils.set_random_seed(0)
        trainer = training.Trainer(keras.optimizers.Nadam(0.1))
        model = vectors.normalised()
        trainer.build(model)
        state = tf.train.Checkpoint(state=model.variables + trainer.variables)
        return model, trainer, state

    def train(model, trainer):
        fitting.fit(
            model, vectors.batches(4), losses.CrossEntropy(), trainer, epochs=2
        )

    model, trainer, state = parts()
    train(model, trainer)
    path = state.write(str(tmp_path / "state"))
    train(model, trainer)
    expected = vectors.values(model.variables)
    model, trainer, state = parts()
    state.read(path).assert_consumed()
    train(model, trainer)
    vectors.assert_all_close(vectors.values(model.variables), expected, rtol=0)


def test_fit_names_the_step_whose_loss_is_not_finite():
    inputs = vectors.INPUTS.copy()
    inputs[9] = np.inf
    model = vectors.dense()
    trainer = training.Trainer(keras.optimizers.SGD(0.1))
    with pytest.raises(FloatingPointError, match="at step 3"):
        fitting.fit(
            model,
            vectors.batches(4, inputs),
            losses.CrossEntropy(),
            trainer,
            epochs=1,
        )
    assert trainer.optimizer.iterations == 2
    assert np.all(np.isfinite(model.get_weights()[0]))
