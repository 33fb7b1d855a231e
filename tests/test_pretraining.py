"""Tests for tfprune.pretraining."""

import json

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tfprune import evaluation
from tfprune import journal
from tfprune import losses
from tfprune import pretraining
from tfprune import training


def network():
    inputs = keras.Input((4,))
    x = layers.BatchNormalization()(layers.Dense(6, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(2)(x))


def dataset():
    """Returns batches that are shuffled anew in every epoch."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(32, 4)).astype("float32")
    labels = (inputs[:, 0] > 0).astype("int64")
    examples = tf.data.Dataset.from_tensor_slices((inputs, labels))
    return examples.shuffle(32, seed=1).batch(8)


def trainer(learning_rate=0.1):
    return training.Trainer(keras.optimizers.SGD(learning_rate))


def train(folder, data=None, epochs=3, trained=None, **kwargs):
    keras.utils.set_random_seed(5)
    settings = {
        "loss_fn": losses.CrossEntropy(),
        "output_dir": folder,
        "test_data": dataset(),
        "seed": 5,
    }
    return pretraining.train(
        network(),
        dataset() if data is None else data,
        pretraining.Pretraining(trained or trainer(), epochs),
        **(settings | kwargs),
    )


def into(seen):
    """Returns a function that puts its arguments into a list."""
    return lambda *arguments: seen.append(arguments)


def test_train_reports_the_model(tmp_path):
    model = train(tmp_path, command="python bin/train.py")
    summary = json.loads((tmp_path / "report.json").read_text())
    measures = evaluation.evaluate(model, dataset(), losses.CrossEntropy())
    assert summary["accuracy"] == pytest.approx(measures["accuracy"])
    assert summary["params"] == model.count_params()
    assert summary["macs"] == 4 * 6 + 6 * 2
    assert summary["seed"] == 5
    assert summary["command"] == "python bin/train.py"
    assert summary["seconds"] > 0


def test_train_records_every_epoch(tmp_path):
    seen = []
    train(tmp_path, on_record=into(seen))
    records = journal.read(tmp_path / "records.jsonl")
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert [progress for _, progress in seen] == [(1, 3), (2, 3), (3, 3)]
    assert [record for record, _ in seen] == records


def test_finished_training_is_kept(tmp_path):
    model, seen = train(tmp_path), []
    again = train(tmp_path, on_record=into(seen))
    assert seen == []
    inputs = tf.ones((1, 4))
    np.testing.assert_array_equal(again(inputs), model(inputs))


def test_stopped_training_goes_on(tmp_path):
    def stop(record, progress):
        raise KeyboardInterrupt

    for epoch in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "stopped", on_record=stop)
        records = journal.read(tmp_path / "stopped" / "records.jsonl")
        assert [record["epoch"] for record in records] == [*range(1, epoch + 1)]
    models = [train(tmp_path / name) for name in ("stopped", "undisturbed")]
    for one, other in zip(*(m.get_weights() for m in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_another_configuration_is_refused(tmp_path):
    train(tmp_path, config="epochs = 3")
    with pytest.raises(ValueError, match="run of the same configuration"):
        train(tmp_path, epochs=1, config="epochs = 1")


@pytest.mark.parametrize("name", ["validation_data", "test_data"])
def test_other_data_is_refused(tmp_path, name):
    train(tmp_path, epochs=1)
    with pytest.raises(ValueError, match=f'(?s)configuration.*"{name}"'):
        train(tmp_path, epochs=1, **{name: dataset().take(1)})


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


@pytest.mark.parametrize("epochs", [0, 1.0, "2", True, None])
def test_epochs_are_a_number(epochs):
    with pytest.raises(ValueError, match="`epochs` must be an int of at least"):
        pretraining.Pretraining(trainer(), epochs)


def test_trainer_is_one():
    with pytest.raises(ValueError, match="`trainer` must be a Trainer, made"):
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


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("pretraining", 3, "be a Pretraining, .* Received: pretraining=3"),
        ("pretraining", None, "be a Pretraining, .* Received: pretraining=Non"),
        ("loss_fn", None, r"a function `\(labels, outputs\)`.*: loss_fn=None"),
        ("loss_fn", losses.CrossEntropy, r"loss_fn=<class '.*CrossEntropy'>"),
        ("seed", 1.5, r"an int from 0 to .* or None. Received: seed=1.5"),
        ("output_dir", None, "path of a folder.*Received: output_dir=None"),
        ("dataset", None, "must be a tf.data.Dataset .* Received: None"),
        ("validation_data", 3, "must be a tf.data.Dataset .* Received: 3"),
    ],
)
def test_wrong_argument_is_refused(tmp_path, name, value, message):
    settings = {
        "model": network(),
        "dataset": dataset(),
        "pretraining": pretraining.Pretraining(trainer(), 1),
        "loss_fn": losses.CrossEntropy(),
        "output_dir": tmp_path / "run",
    }
    with pytest.raises(ValueError, match=message):
        pretraining.train(**(settings | {name: value}))
    assert list(tmp_path.iterdir()) == []


def test_loss_without_gradient_is_refused(tmp_path):
    def errors(labels, outputs):
        return tf.cast(tf.argmax(outputs, -1) != labels, tf.float32)

    with pytest.raises(ValueError, match="`loss_fn` must have a gradient"):
        train(tmp_path / "run", loss_fn=errors)
    assert list(tmp_path.iterdir()) == []


def test_loss_that_is_not_finite(tmp_path):
    with pytest.raises(FloatingPointError, match="finite.*of the base train"):
        train(tmp_path, trained=trainer(1e38))
    assert not (tmp_path / "report.json").exists()


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    def enormous(labels, outputs):
        return 1e6 * losses.CrossEntropy()(labels, outputs)

    rate = keras.optimizers.schedules.PiecewiseConstantDecay(
        [6], [1e-7, 3e38]
    )
    with pytest.raises(
        FloatingPointError, match=r"stay finite. Received: 'dense.* step 8\."
    ):
        train(tmp_path, trained=trainer(rate), loss_fn=enormous)
    (record,) = journal.read(tmp_path / "records.jsonl")
    assert record["step"] == 4
    saved = tf.train.list_variables(tmp_path / "checkpoints")
    for name, _ in saved:
        if name.startswith("model/"):
            value = tf.train.load_variable(tmp_path / "checkpoints", name)
            assert np.all(np.isfinite(value))


def test_dataset_without_an_end_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must end for `epochs` to be count"):
        train(tmp_path / "run", data=dataset().repeat())
    assert list(tmp_path.iterdir()) == []


def test_trainer_of_another_model_is_refused(tmp_path):
    used = trainer()
    used.build(network())
    with pytest.raises(ValueError, match="keeps the state of one model"):
        train(tmp_path / "run", trained=used)


@pytest.mark.parametrize("name", ["validation", "test", None])
def test_report_says_what_it_measured_on(tmp_path, name):
    data = {"test_data": None}
    if name is not None:
        data[f"{name}_data"] = dataset()
    train(tmp_path, **data)
    summary = json.loads((tmp_path / "report.json").read_text())
    assert summary["measured_on"] == name
    assert (summary["accuracy"] is None) == (name is None)


@pytest.mark.parametrize(
    "shape, name, message",
    [
        ((4, 4), "my image", "Inputs need different names"),
        ((None, 4), "image", "Multiply-accumulates can be counted only where"),
    ],
)
def test_model_that_cannot_be_reported_is_refused(
    tmp_path, shape, name, message
):
    inputs = keras.Input(shape, name=name)
    x = layers.GlobalAveragePooling1D()(layers.Conv1D(3, 2)(inputs))
    data = tf.data.Dataset.from_tensors((np.ones((2, 4, 4)), [0, 1]))
    with pytest.raises(ValueError, match=message):
        pretraining.train(
            keras.Model(inputs, layers.Dense(2)(x)),
            data,
            pretraining.Pretraining(trainer(), 1),
            loss_fn=losses.CrossEntropy(),
            output_dir=tmp_path / "run",
        )
    assert list(tmp_path.iterdir()) == []
