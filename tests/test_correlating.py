"""Tests for tfprune.correlating."""

import json

import keras
from keras import layers
import numpy as np
import pytest

from tests import scripts
from tfprune import correlating
from tfprune import correlation_report
from tfprune import criteria
from tfprune import data
from tfprune import exporting
from tfprune import journal
from tfprune import losses
from tfprune import masking
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import correlations

CONFIG = """
from __gin__ import dynamic_registration

import keras
from tfprune import correlating
from tfprune import data
from tfprune import losses
from tfprune.criteria import random
from tests import test_correlating

correlating.correlate:
  model = @test_correlating.network()
  criteria = {"Random": @random.Random()}
  dataset = @data.digits()
  loss_fn = @losses.CrossEntropy()
  batches = 2

random.Random.seed = %SEED
"""
CRITERIA = {
    "itself": criteria.Oracle(absolute=True),
    "taylor | exact": criteria.TaylorFO(),
    "random": criteria.Random(3),
}


def network(filters=8):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, strides=2, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="first_bn")(x))
    x = layers.Conv2D(filters, 3, activation="relu", name="second")(x)
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))


def correlate(folder, **kwargs):
    settings = {
        "model": network(),
        "criteria": CRITERIA,
        "dataset": data.digits(batch_size=64),
        "loss_fn": losses.CrossEntropy(),
        "output_dir": folder,
        "batches": 3,
        "removed": 0.25,
        "seed": 4,
    }
    return correlating.correlate(**(settings | kwargs))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("correlation")
    seen = []
    rows = correlate(
        folder, config="this", on_record=lambda *args: seen.append(args)
    )
    assert [progress for _, progress in seen] == [(1, 3), (2, 3), (3, 3)]
    assert journal.read(folder / "records.jsonl") == [
        record for record, _ in seen
    ]
    return folder, rows


def test_rows_equal_a_direct_computation(finished):
    _, rows = finished
    model = network()
    graph = tracing.trace(model)
    dataset = data.digits(batch_size=64)
    next(iter(dataset))  # The run has looked at the shuffled data before.
    scores = scoring.score(
        masking.mask_model(model, graph),
        graph,
        CRITERIA,
        dataset,
        losses.CrossEntropy(),
        3,
    )
    expected = correlations.by_layer(
        scores, scores["itself"], graph, removed=0.25
    )
    assert len(rows) == len(expected) == 9
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other)


def test_truth_agrees_with_itself_alone(finished):
    _, rows = finished
    values = {"itself": [], "taylor | exact": [], "random": []}
    for row in rows:
        values[row["criterion"]] += [row["spearman"], row["overlap"]]
    np.testing.assert_allclose(values["itself"], 1)
    assert 0.3 < min(values["taylor | exact"][::2]) < 1
    assert max(values["random"]) < 1


def test_truth_may_be_another_criterion(tmp_path):
    truth, same = criteria.WeightNorm(2), criteria.WeightNorm(2)
    rows = correlate(
        tmp_path, criteria={"same": same}, truth=truth, batches=1
    )
    for row in rows:
        assert row["kendall"] == pytest.approx(1)
    text = (tmp_path / "correlation.md").read_text()
    assert "with WeightNorm over 12 units" in text


def test_frozen_layers_do_not_count(tmp_path):
    rows = correlate(
        tmp_path, criteria=criteria.Random(), frozen=("second",), batches=1
    )
    assert [(row["layer"], row["units"]) for row in rows] == [
        (None, 4),
        ("first", 4),
    ]


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("count", [1, 2, 3])
def test_stopped_run_goes_on_to_the_same_rows(finished, tmp_path, count):
    def kill(_, progress):
        if progress[0] == count:
            raise Killed

    with pytest.raises(Killed):
        correlate(tmp_path, config="this", on_record=kill)
    assert len(journal.read(tmp_path / "records.jsonl")) == count
    assert not (tmp_path / "report.json").exists()
    seen = []
    rows = correlate(
        tmp_path, config="this", on_record=lambda *args: seen.append(args[1])
    )
    assert seen == [(number, 3) for number in range(count + 1, 4)]
    assert rows == finished[1]
    for name in ("records.jsonl", "correlation.md", "report.json"):
        expected = (finished[0] / name).read_text()
        assert (tmp_path / name).read_text() == expected


def test_finished_run_is_kept(finished, monkeypatch):
    folder, rows = finished
    monkeypatch.setattr(scoring, "each_batch", None)
    assert correlate(folder, config="this") == rows


def test_another_configuration_is_refused_with_the_difference(finished):
    with pytest.raises(ValueError, match=r"(?s)same config.*-this\n\+other"):
        correlate(finished[0], config="other")


@pytest.mark.parametrize(
    "name, value, difference",
    [
        ("removed", 0.5, '"removed": 0.5'),
        ("truth", criteria.WeightNorm(), "WeightNorm"),
        ("frozen", ("first",), '"first"'),
        ("model", network(9), "Conv2D .None, 1, 1, 9."),
    ],
)
def test_settings_tell_runs_apart(tmp_path, name, value, difference):
    def run(**kwargs):
        settings = {"criteria": [criteria.Random()], "batches": 1}
        return correlate(
            tmp_path, **({"truth": criteria.Random(2)} | settings | kwargs)
        )

    rows = run()
    assert run() == rows
    with pytest.raises(ValueError, match=rf"(?s)same conf.*\n\+.*{difference}"):
        run(**{name: value})


def test_tables_show_every_row_the_best_first(finished):
    folder, rows = finished
    text = (folder / "correlation.md").read_text()
    summary = json.loads((folder / "report.json").read_text())
    assert summary["rows"] == rows
    assert (summary["truth"], summary["batches"]) == ("Oracle", 3)
    assert text == correlation_report.markdown(summary)
    assert "with Oracle over 12 units (batches: 3); overlap" in text
    assert (folder / "correlation.png").read_bytes().startswith(b"\x89PNG")


def test_dataset_of_unknown_length(tmp_path):
    def dataset():
        return data.digits(batch_size=64).filter(lambda *_: True)

    quick = {"criteria": criteria.Random(), "truth": criteria.WeightNorm()}
    with pytest.raises(ValueError, match="must be given for .* unknown length"):
        correlate(tmp_path, dataset=dataset(), batches=None, **quick)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="hold 99 batches. Received: 17 batch"):
        correlate(tmp_path, dataset=dataset(), batches=99, **quick)
    assert not (tmp_path / "report.json").exists()


def test_all_batches_by_default(tmp_path):
    totals = []
    correlate(
        tmp_path,
        criteria=criteria.Random(),
        truth=criteria.WeightNorm(),
        batches=None,
        on_record=lambda _, progress: totals.append(progress[1]),
    )
    assert totals == [17] * 17


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("dataset", None, "must be a tf.data.Dataset.* Received: None"),
        ("output_dir", None, "path of a folder.*Received: output_dir=None"),
        ("loss_fn", None, "must be a function .*loss_fn=None"),
        ("seed", -1, "an int from 0 to .*seed=-1"),
        ("removed", 1.0, r"fraction of the units in \(0, 1\).*removed=1.0"),
        ("removed", 2, r"fraction of the units in \(0, 1\).*removed=2"),
        ("frozen", ("third",), "`frozen`.*'third'"),
        ("frozen", "first", r"did you mean \('first',\)"),
        ("frozen", ("first", "second"), "There must be a unit to score"),
        ("batches", 0, "`batches` must be an int of at least 1"),
        ("batches", 18, "`batches` must be at most.* a dataset of 17"),
        ("criteria", {}, "`criteria` must hold one"),
        ("criteria", {"truth": criteria.Random()}, "not be called 'truth'"),
        ("truth", criteria.Oracle, "`truth` must be a Criterion, made with"),
        ("model", keras.Sequential([layers.Dense(2)]), "built"),
        ("loss_fn", lambda labels, outputs: 1.0, "one loss for each example"),
    ],
)
def test_wrong_argument_is_refused(tmp_path, name, value, message):
    settings = {"folder": tmp_path, "config": "given"}
    with pytest.raises(ValueError, match=message):
        correlate(**(settings | {name: value}))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_command_measures_once(tmp_path):
    exporting.save_keras(network(filters=5), tmp_path / "model.keras")
    run = scripts.runner("correlate.py", CONFIG, tmp_path)
    first = run("dense")
    assert first.returncode == 0, first.stderr
    assert "batch 2/2" in first.stdout
    assert "with Oracle over 12 units" in first.stdout
    again = run("dense")
    assert "Nothing to do" in again.stdout
    assert "Spearman" in again.stdout
    small = run(
        "small",
        "correlating.correlate.model = @keras.saving.load_model()",
        f"keras.saving.load_model.filepath = '{tmp_path / 'model.keras'}'",
    )
    assert small.returncode == 0, small.stderr
    assert "with Oracle over 9 units" in small.stdout
