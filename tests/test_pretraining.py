"""Tests for tfprune.pretraining."""

import json

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tfprune import losses
from tfprune import pretraining
from tfprune import report
from tfprune import training


def network():
    inputs = keras.Input((4,))
    x = layers.BatchNormalization()(layers.Dense(6, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(2)(x))


def dataset():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(32, 4)).astype("float32")
    labels = (inputs[:, 0] > 0).astype("int64")
    return tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(8)


def trainer(learning_rate=0.1):
    return training.Trainer(keras.optimizers.SGD(learning_rate))


def train(folder, seen=None, epochs=3, **settings):
    return pretraining.train(
        network(),
        dataset(),
        pretraining.Pretraining(trainer(), epochs),
        loss_fn=losses.CrossEntropy(),
        output_dir=folder,
        test_data=dataset(),
        seed=5,
        on_record=None if seen is None else lambda *args: seen.append(args),
        **settings,
    )


def test_train_reports_the_model(tmp_path):
    model = train(tmp_path, command="python bin/train.py")
    summary = json.loads((tmp_path / "report.json").read_text())
    measures = training.evaluate(model, dataset(), losses.CrossEntropy())
    assert summary["accuracy"] == pytest.approx(measures["accuracy"])
    assert summary["params"] == model.count_params()
    assert summary["macs"] == 4 * 6 + 6 * 2
    assert summary["seed"] == 5
    assert summary["command"] == "python bin/train.py"
    assert summary["seconds"] > 0


def test_train_records_every_epoch(tmp_path):
    seen = []
    train(tmp_path, seen)
    records = report.read_records(tmp_path / "records.jsonl")
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert [progress for _, progress in seen] == [(1, 3), (2, 3), (3, 3)]
    assert [record for record, _ in seen] == records


def test_finished_training_is_kept(tmp_path):
    model, seen = train(tmp_path), []
    again = train(tmp_path, seen)
    assert seen == []
    inputs = tf.ones((1, 4))
    np.testing.assert_array_equal(again(inputs), model(inputs))


def test_stopped_training_begins_again(tmp_path):
    def stop(record, progress):
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pretraining.train(
                network(),
                dataset(),
                pretraining.Pretraining(trainer(), 3),
                loss_fn=losses.CrossEntropy(),
                output_dir=tmp_path,
                test_data=dataset(),
                seed=5,
                on_record=stop,
            )
        assert len(report.read_records(tmp_path / "records.jsonl")) == 1
    train(tmp_path)
    assert len(report.read_records(tmp_path / "records.jsonl")) == 3


def test_another_configuration_is_refused(tmp_path):
    train(tmp_path, config="epochs = 3")
    with pytest.raises(ValueError, match="run of the same configuration"):
        train(tmp_path, epochs=1, config="epochs = 1")


@pytest.mark.parametrize("devices", [["CPU:0"], ["CPU:0", "CPU:1"]])
def test_trains_on_replicas(tmp_path, devices):
    # Collectives of a second strategy in one process collide with the first's.
    strategy = tf.distribute.MirroredStrategy(
        devices, tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        model = train(tmp_path)
    inputs = tf.ones((1, 4))
    saved = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(saved(inputs), model(inputs), rtol=1e-5)


def test_base_is_trained_once(tmp_path):
    path, seen = tmp_path / "base.keras", []
    models = [network(), network()]
    for model in models:
        pretraining.Pretraining(trainer(), 2).train_once(
            model,
            dataset(),
            losses.CrossEntropy(),
            path,
            on_record=lambda *args: seen.append(args),
        )
    assert len(seen) == 2
    for one, other in zip(*(m.get_weights() for m in models), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("epochs", [0, 1.0, "2", True, None])
def test_epochs_are_a_number(epochs):
    with pytest.raises(ValueError, match="`epochs` must be an int of at least"):
        pretraining.Pretraining(trainer(), epochs)


def test_trainer_is_one():
    with pytest.raises(ValueError, match="`trainer` must be a Trainer. Rec"):
        pretraining.Pretraining("sgd", 1)


def test_nothing_is_written_for_data_that_do_not_fit(tmp_path):
    with pytest.raises(ValueError, match="batches of the model's inputs"):
        pretraining.train(
            keras.Sequential([keras.Input((5,)), layers.Dense(2)]),
            dataset(),
            pretraining.Pretraining(trainer(), 1),
            loss_fn=losses.CrossEntropy(),
            output_dir=tmp_path / "run",
        )
    assert list(tmp_path.iterdir()) == []


def test_loss_that_is_not_finite(tmp_path):
    with pytest.raises(FloatingPointError, match="must be finite"):
        pretraining.Pretraining(trainer(1e38), 4).train_once(
            network(),
            dataset(),
            losses.CrossEntropy(),
            tmp_path / "base.keras",
        )
    assert list(tmp_path.iterdir()) == []
