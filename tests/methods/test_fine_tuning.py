"""Tests for tfprune.methods.fine_tuning."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_run
from tests.methods import tiny
from tfprune import costs
from tfprune import losses
from tfprune import tracing
from tfprune import training
from tfprune.methods import fine_tuning

LOSS = losses.CrossEntropy()


def method(trainer=None, steps=5, round_steps=2):
    return fine_tuning.FineTuning(trainer or tiny.sgd(), steps, round_steps)


def batches():
    return tiny_run.examples().batch(8)


def test_steps_are_those_of_a_trainer():
    inputs = keras.Input((6, 6, 2))
    outputs = layers.Dense(3)(layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    run = method(steps=7)
    run.start(model, batches(), LOSS)
    while not run.done:
        run.step()
    trainer = tiny.sgd()
    trainer.build(model)
    for images, labels in batches().repeat().take(7):
        trainer.step(model, LOSS, images, labels)
    for left, right in zip(
        run.model.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


def test_records_tell_the_model_and_its_training():
    model = tiny_run.network()
    run = method()
    run.start(model, batches(), LOSS)
    records = []
    while not run.done:
        records.append(run.step())
    assert [record["step"] for record in records] == [2, 4, 5]
    for record in records:
        assert record["phase"] == "fine-tune" and record["pruned"] == 0
        assert record["params"] == model.count_params()
        assert record["macs"] == costs.cost(model).macs
        assert record["units"] == 16 and record["loss"] > 0


def test_model_is_left_as_it_is_and_a_copy_comes_out():
    model = tiny_run.network()
    before = model.get_weights()
    run = method()
    run.start(model, batches(), LOSS)
    while not run.done:
        run.step()
    for left, right in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    out = run.finish()
    assert out is not run.model
    for left, right in zip(
        out.get_weights(), run.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(left, right)


def test_student_learns_from_the_original():
    inputs = keras.Input((6, 6, 2))
    outputs = layers.Dense(3)(layers.Flatten()(inputs))
    original = keras.Model(inputs, outputs)
    small = tiny_run.network()
    run = method(
        tiny.sgd(0.01, distillation=losses.Distillation(1.0)), steps=150
    )
    run.start(small, batches(), LOSS, original=original)
    images = tiny_run.IMAGES

    def apart():
        logits = run.model(images, training=False), original(images)
        return float(
            keras.losses.kl_divergence(
                *(tf.nn.softmax(x / 4) for x in reversed(logits))
            )
            .numpy()
            .mean()
        )

    before = apart()
    while not run.done:
        run.step()
    assert apart() < 0.3 * before


def test_report_tells_the_layers():
    model = tiny_run.network()
    run = method()
    run.start(model, batches(), LOSS)
    report = run.report()
    for row in report["layers"]:
        assert row["channels_before"] == row["channels_after"]
    assert len(report["explanation"]) == len(tracing.explain(model))
    assert "budget" not in report and "verification" not in report


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"steps": 0}, "`steps` must be an int of at least 1"),
        ({"round_steps": 0}, "`round_steps` must be an int of at least 1"),
        ({"trainer": training.Trainer}, "`trainer` must be a Trainer"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        method(**settings)


def test_what_cannot_be_learnt_is_refused_before():
    def wrong(labels, outputs):
        return tf.cast(labels != tf.argmax(outputs, -1), tf.float32)

    with pytest.raises(ValueError, match="must have a gradient"):
        method().check(tiny_run.network(), batches(), wrong)
    two = keras.Model((inputs := keras.Input((6, 6, 2))), [inputs, inputs + 1])
    trainer = tiny.sgd(distillation=losses.Distillation())
    with pytest.raises(ValueError, match="with one output"):
        method(trainer).check(two, batches(), LOSS)
