"""Tests for tfprune.experiment, its runs and its report."""

import json

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import scripts
from tests.methods import tiny
from tfprune import compaction
from tfprune import costs
from tfprune import criteria
from tfprune import evaluation
from tfprune import experiment
from tfprune import experiment_report
from tfprune import journal
from tfprune import losses
from tfprune import models
from tfprune import pretraining
from tfprune import tracing

CONFIG = """
from __gin__ import dynamic_registration

from tfprune import data
from tfprune import experiment
from tfprune import losses
from tfprune.criteria import random
from tfprune.criteria import weight_norm
from tests import test_experiment

experiment.experiment:
  model = @test_experiment.digits_network()
  criteria = [@random.Random(), @weight_norm.WeightNorm()]
  dataset = @data.digits()
  evaluation_data = @validation/data.digits()
  test_data = @test/data.digits()
  loss_fn = @losses.CrossEntropy()
  repetitions = 1
  candidates = 4
  round_units = 4
  stop_accuracy = 0.0001
  drop = 0.01

random.Random.seed = %SEED
validation/data.digits.split = "validation"
test/data.digits.split = "test"
"""
LOSS = losses.CrossEntropy()
DATA = tiny.batches(11)
TWO = [criteria.WeightNorm(), criteria.TaylorFO()]
NAMES = ["WeightNorm", "TaylorFO", "myopic oracle"]


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="first")(inputs)
    x = layers.Conv2D(4, 3, activation="relu", name="second")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def digits_network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))


def run(folder, model=None, **kwargs):
    data = tiny.batches(11)
    arguments = {
        "criteria": TWO,
        "dataset": data,
        "evaluation_data": tiny.batches(11),
        "test_data": tiny.batches(22),
        "repetitions": 1,
        "candidates": 4,
        "batches": 1,
        "oracle_batches": 1,
        "round_units": 3,
        "stop_accuracy": 0.01,
        "pretraining": pretraining.Pretraining(tiny.sgd(0.05), 20),
        **kwargs,
    }
    model = network() if model is None else model
    return experiment.experiment(
        model, loss_fn=LOSS, output_dir=folder, **arguments
    )


class Stop(Exception):
    pass


def test_experiment_goes_on_where_it_was_stopped(tmp_path):
    whole = run(tmp_path / "whole")
    assert [each["curve"] for each in whole] == NAMES
    base = whole[0]["accuracy"][0]
    for each in whole:
        sparsity = np.array(each["sparsity"])
        assert sparsity[0] == 0 and (np.diff(sparsity) > 0).all()
        assert each["accuracy"][0] == base > 0.6
    for name in NAMES:
        assert name in (tmp_path / "whole" / "experiment.md").read_text()
    assert (tmp_path / "whole" / "experiment.png").stat().st_size > 1000
    report = json.loads((tmp_path / "whole" / "report.json").read_text())
    assert report["runs"] == whole and report["base"] == base

    seen = []

    def stop(record, progress):
        seen.append((record, progress))
        if record.get("run") == "TaylorFO-1":
            raise Stop

    with pytest.raises(Stop):
        run(tmp_path / "killed", on_record=stop)
    shares = [done for record, (done, _) in seen if "run" in record]
    assert shares == sorted(shares) and 1 < shares[-1] < 2
    assert not (tmp_path / "killed" / "report.json").exists()
    assert run(tmp_path / "killed") == whole
    for name in ("WeightNorm-1", "TaylorFO-1", "myopic-oracle-1"):
        once, again = (
            journal.read(tmp_path / folder / "runs" / name / "records.jsonl")
            for folder in ("whole", "killed")
        )
        assert all(record["removed"] for record in once)
        for record in (*once, *again):
            del record["seconds"]
        assert once == again
    assert run(tmp_path / "killed") == whole  # Finished: nothing is done.
    with pytest.raises(ValueError, match="of the same configuration"):
        run(tmp_path / "killed", drop=0.1)


def test_records_equal_a_direct_computation(tmp_path):
    model = network()
    graph = tracing.trace(model)
    test_data = tiny.batches(7)
    base = evaluation.evaluate(model, test_data, LOSS)["accuracy"]
    found = run(
        tmp_path,
        model,
        test_data=test_data,
        pretraining=None,
        round_units=1,
        drop=0.01,
        stop_accuracy=0.02,
    )
    for each, name in zip(found, NAMES, strict=True):
        keep = np.ones(graph.num_units, bool)
        path = tmp_path / "runs" / f"{name.replace(' ', '-')}-1"
        expected = [(0.0, base)]
        for record in journal.read(path / "records.jsonl"):
            (removed,) = record["removed"]
            assert keep[removed["unit"]]
            keep[removed["unit"]] = False
            small = compaction.compact(model, graph, keep)
            weights = sum(
                int(np.prod(small.get_layer(layer).kernel.shape))
                for layer in ("first", "second")
            )
            assert record["convolution_weights"] == weights
            share = 100 * (1 - weights / (27 * 5 + 45 * 4))
            accuracy = evaluation.evaluate(small, test_data, LOSS)["accuracy"]
            expected.append((share, accuracy))
        points = list(zip(each["sparsity"], each["accuracy"], strict=True))
        np.testing.assert_allclose(points, expected)
        assert len(points) == 1 + 9 - 2 or points[-1][1] <= 0.02


def test_weights_of_convolutions_are_those_of_the_compacted_model():
    model = models.resnet20(shortcut="projection", width=0.25)
    graph = tracing.trace(model)
    keep = ~graph.prunable
    keep[np.random.default_rng(0).permutation(graph.num_units)[::2]] = True
    for units in graph.unit_sets:
        keep[units[:1]] = True
    meter = costs.Meter(graph)
    small = compaction.compact(model, graph, keep)
    counted = sum(
        int(np.prod(layer.kernel.shape))
        for layer in small.layers
        if isinstance(layer, layers.Conv2D)
    )
    assert meter.convolutions(meter.groups.widths(keep)) == counted


FOUND = [
    {
        "curve": "one",
        "repetition": 1,
        "sparsity": [0.0, 10.0, 20.0],
        "accuracy": [0.8, 0.8, 0.7],
    },
    {
        "curve": "one",
        "repetition": 2,
        "sparsity": [0.0, 10.0, 20.0],
        "accuracy": [0.8, 0.7, 0.6],
    },
    {
        "curve": "two",
        "repetition": 1,
        "sparsity": [0.0, 10.0],
        "accuracy": [0.8, 0.79],
    },
]


def test_table_by_hand():
    # One: 15 and 5 %, hence 10 % with a deviation of 5. Two gets never there.
    table = experiment_report.crossings(FOUND, 0.75)
    assert table["two"] == [None]
    np.testing.assert_allclose(table["one"], [15, 5])
    text = experiment_report.markdown(FOUND, 0.8, 0.05)
    assert "base model: 80.00%" in text and "at -5 points" in text
    assert "| one | 10.0 % | 10.0 | 2 |" in text
    assert "| two | > 10.0 % |  | 0 of 1 |" in text


def test_runs_that_never_get_there_are_counted():
    # Of one, the first falls by 15 points nowhere; the second does at 15 %.
    text = experiment_report.markdown(FOUND, 0.8, 0.15)
    assert "| one | 15.0 % |  | 1 of 2 |" in text


def test_drawing_has_a_curve_and_a_band_for_each():
    (axes,) = experiment_report.drawing(FOUND, "two", 0.75).axes
    assert [line.get_label() for line in axes.lines[:2]] == ["one", "two"]
    assert list(axes.lines[2].get_ydata()) == [75.0, 75.0]
    assert axes.lines[1].get_color() == "black"
    assert len(axes.collections) == 2
    np.testing.assert_allclose(axes.lines[0].get_ydata()[10], 75)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"criteria": criteria.WeightNorm()}, "must be several"),
        (
            {"criteria": {"myopic oracle": TWO[0], "b": TWO[1]}},
            "none of them named 'myopic oracle'",
        ),
        ({"drop": 5}, r"`drop` must be a share in \(0, 1\). Received: drop=5"),
        ({"stop_accuracy": 0.0}, "`stop_accuracy` must be a share"),
        ({"stop_accuracy": 0.9}, "more than `drop` below the test accuracy"),
        ({"stop_accuracy": 0.99}, "less than 1 together, .* drop=0.05"),
        ({"repetitions": 0}, "`repetitions` must be an int of at least 1"),
        ({"frozen": ("nothing",)}, "nothing"),
        ({"candidates": 1}, "at least one for each criterion"),
        ({"seed": None}, "`seed` must be an int of at least 0. Received: seed"),
        ({"min_units": 0}, "`min_units` must be an int of at least 1"),
        ({"pretraining": 5}, "`pretraining` must be a Pretraining, made with"),
        (
            {"test_data": DATA, "evaluation_data": DATA},
            "must be another split than `evaluation_data`",
        ),
        (
            {"test_data": tiny.batches(11)},
            "Received: the same examples for both",
        ),
        (
            {"criteria": {"a b": TWO[0], "a-b": TWO[1]}},
            "differ in letters or digits.* Received: a b, a-b",
        ),
        (
            {"criteria": {"Myopic-Oracle": TWO[0], "b": TWO[1]}},
            "differ in letters or digits",
        ),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
    tmp_path, kwargs, message
):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, **{"pretraining": None, **kwargs})
    assert not list(tmp_path.iterdir())


def test_model_without_convolutions_is_refused(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = layers.Dense(4)(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Dense(3)(x))
    with pytest.raises(ValueError, match="must have convolutions"):
        run(tmp_path, model)


@pytest.mark.parametrize("epochs", [None, 3])
def test_labels_that_are_no_classes_are_refused(tmp_path, epochs):
    targets = tf.one_hot(tiny.LABELS, 3) + 0.5
    data = tf.data.Dataset.from_tensor_slices((tiny.IMAGES, targets)).batch(11)
    base = epochs and pretraining.Pretraining(tiny.sgd(), epochs)
    with pytest.raises(ValueError, match="has no accuracy on them"):
        experiment.experiment(
            network(),
            TWO,
            data,
            data.take(9),
            data.skip(1),
            lambda labels, outputs: tf.reduce_sum((labels - outputs) ** 2, -1),
            tmp_path,
            repetitions=1,
            candidates=4,
            batches=1,
            oracle_batches=1,
            pretraining=base,
        )
    assert not list(tmp_path.iterdir())


def test_time_of_finished_runs_counts_after_a_stop(tmp_path):
    def stop(record, _):
        if record.get("last"):
            raise Stop

    with pytest.raises(Stop):
        run(tmp_path, pretraining=None, on_record=stop)
    path = tmp_path / "runs" / "WeightNorm-1" / "records.jsonl"
    records = journal.read(path)
    records[-1]["seconds"] = 1e6
    path.write_text("".join(f"{journal.dumps(x)}\n" for x in records))
    run(tmp_path, pretraining=None)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["seconds"] > 1e6


def test_layers_keep_their_least_units(tmp_path):
    for each in run(tmp_path, pretraining=None, min_units={"first": 5}):
        # No filter of the first goes, and one of the four of the second stays.
        assert each["sparsity"][-1] == pytest.approx(
            100 * 3 * 45 / (5 * 27 + 4 * 45)
        )


@pytest.mark.slow
def test_command_draws_once(tmp_path):
    run = scripts.runner("experiment.py", CONFIG, tmp_path)
    first = run("out")
    assert first.returncode == 0, first.stderr
    assert "WeightNorm-1, run 2.0/3, loss" in first.stdout
    assert "myopic oracle-1, run 3.0/3, loss" in first.stdout
    assert "removed at -1 points" in first.stdout
    again = run("out")
    assert "Nothing to do" in again.stdout
    assert "removed at -1 points" in again.stdout
    other = run("out", "experiment.experiment.drop = 0.02")
    assert other.returncode == 1
    assert "+experiment.experiment.drop = 0.02" in other.stderr
