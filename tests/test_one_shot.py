"""Tests for tfprune.one_shot."""

import json

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import scripts
from tfprune import batch_norm
from tfprune import budgets
from tfprune import comparison
from tfprune import criteria
from tfprune import data
from tfprune import evaluation
from tfprune import journal
from tfprune import losses
from tfprune import masking
from tfprune import one_shot
from tfprune import scoring
from tfprune import tracing

CONFIG = """
from __gin__ import dynamic_registration

from tfprune import data
from tfprune import losses
from tfprune import one_shot
from tfprune.criteria import random
from tests import test_one_shot

one_shot.one_shot:
  model = @test_one_shot.network()
  criteria = {"Random": @random.Random()}
  dataset = @data.digits()
  test_data = @test/data.digits()
  loss_fn = @losses.CrossEntropy()
  removed = (0.5,)
  bn_batches = 2

random.Random.seed = %SEED
test/data.digits.split = "test"
"""
PARTS = {"all": (), "second / inner": ("first*",)}
REMOVED = (0.2, 0.5)
CRITERIA = {"taylor": criteria.TaylorFO(), "a/b": criteria.Random(3)}


def network(dropout=0.0):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, strides=2, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="first_bn")(x))
    x = layers.Dropout(dropout)(x)
    x = layers.Conv2D(8, 3, padding="same")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))


def sweep(folder, **kwargs):
    settings = {
        "model": network(),
        "criteria": CRITERIA,
        "dataset": data.digits(batch_size=64),
        "test_data": data.digits("test", batch_size=225),
        "loss_fn": losses.CrossEntropy(),
        "output_dir": folder,
        "removed": REMOVED,
        "frozen": PARTS,
        "score_batches": 2,
        "bn_batches": 3,
        "seed": 4,
    }
    return one_shot.one_shot(**(settings | kwargs))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    seen = []
    records = sweep(
        folder, config="this", on_record=lambda *args: seen.append(args)
    )
    assert [record for record, _ in seen] == records
    assert [progress for _, progress in seen] == [
        (i + 1, 17) for i in range(17)
    ]
    return folder, records


def test_records_equal_a_direct_computation(finished):
    _, records = finished
    records, model = iter(records), network()
    train, test = data.digits(), data.digits("test", batch_size=225)
    loss_fn = losses.CrossEntropy()

    def check(each, **what):
        measures = evaluation.evaluate(each, test, loss_fn)
        assert next(records) == {**what, **measures}

    check(model, part="", criterion="base", removed=0.0, when="at once")
    for part, frozen in PARTS.items():
        graph = tracing.trace(model, frozen)
        scores = scoring.score(
            masking.mask_model(model, graph), graph, CRITERIA, train, loss_fn, 2
        )
        for name in CRITERIA:
            for share in REMOVED:
                keep = budgets.select(
                    scores[name],
                    graph,
                    np.ones(graph.num_units, bool),
                    budgets.Budget(macs=1 - share, tolerance=1.0),
                )
                masked = masking.mask_model(model, graph)
                masking.set_mask(masked, graph, keep)
                what = {"part": part, "criterion": name, "removed": share}
                check(masked, **what, when="at once")
                batch_norm.reestimate(masked, train, 3)
                check(masked, **what, when="BN re-estimated")
    assert next(records, None) is None


def test_removing_and_reestimating_change_the_loss(finished):
    _, records = finished
    assert len({record["loss"] for record in records}) > 12


class Killed(BaseException):
    """Stands for the end of the process."""


def stopped(folder, count, **kwargs):
    """Stops a sweep after some records."""

    def kill(_, progress):
        if progress[0] == count:
            raise Killed

    with pytest.raises(Killed):
        sweep(folder, on_record=kill, **kwargs)
    assert len(journal.read(folder / "records.jsonl")) == count


@pytest.mark.parametrize("count", [3, 10])
def test_stopped_sweep_goes_on_to_the_same_records(finished, tmp_path, count):
    stopped(tmp_path, count, config="this")
    assert sweep(tmp_path, config="this") == finished[1]
    for name in ("records.jsonl", "scores.json", "one_shot.md"):
        expected = (finished[0] / name).read_text()
        assert (tmp_path / name).read_text() == expected


def test_dropout_is_the_same_after_a_stop(tmp_path):
    def one():
        return {"model": network(0.5), "frozen": None, "removed": (0.5,)}

    whole = sweep(tmp_path / "whole", **one())
    stopped(tmp_path / "stopped", 4, **one())
    assert sweep(tmp_path / "stopped", **one()) == whole


def test_scores_of_a_stopped_sweep_are_kept(finished, tmp_path, monkeypatch):
    calls = []

    def evaluate(*args):
        calls.append(args)
        if len(calls) == 2:
            raise Killed
        return measured(*args)

    measured = evaluation.evaluate
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "evaluate", evaluate)
        with pytest.raises(Killed):
            sweep(tmp_path)
    assert list(json.loads((tmp_path / "scores.json").read_text())) == ["all"]
    assert sweep(tmp_path) == finished[1]


def test_finished_sweep_is_kept(finished, monkeypatch):
    folder, records = finished
    monkeypatch.setattr(evaluation, "evaluate", None)
    assert sweep(folder, config="this") == records


def test_another_configuration_is_refused_with_the_difference(finished):
    folder, _ = finished
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=r"(?s)same config.*-this\n\+other"):
        sweep(folder, config="other")
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


def test_settings_tell_sweeps_apart(tmp_path):
    records = sweep(tmp_path, removed=(0.2,), frozen=None)
    assert sweep(tmp_path, removed=(0.2,), frozen=None) == records
    with pytest.raises(ValueError, match=r"(?s)same configuration.*\+ *0.5"):
        sweep(tmp_path, removed=(0.5,), frozen=None)


def test_sweep_of_other_test_data_is_refused(tmp_path):
    sweep(tmp_path, removed=(0.2,))
    other = data.digits("test", batch_size=9)
    with pytest.raises(ValueError, match='(?s)configuration.*"test_data"'):
        sweep(tmp_path, removed=(0.2,), test_data=other)


def test_scores_of_another_sweep_are_refused(tmp_path):
    (tmp_path / "records.jsonl").touch()
    with pytest.raises(ValueError, match="holds records.jsonl but no run.json"):
        sweep(tmp_path)


def test_table_shows_every_accuracy(finished):
    folder, records = finished
    text = (folder / "one_shot.md").read_text()
    assert text == comparison.markdown(records)
    assert f"base model: {records[0]['accuracy']:.2%}." in text
    for part in PARTS:
        for when in ("at once", "BN re-estimated"):
            (block,) = [
                block.splitlines()
                for title, block in zip(
                    text.split("\n\n"), text.split("\n\n")[1:], strict=False
                )
                if title == f"{part}, {when}:"
            ]
            assert block[:2] == [
                "| MACs removed | 20% | 50% |",
                "| --- | ---: | ---: |",
            ]
            rows = [
                [
                    f"{100 * r['accuracy']:.1f}"
                    for r in records
                    if (r["part"], r["criterion"], r["when"])
                    == (part, name, when)
                ]
                for name in CRITERIA
            ]
            assert block[2:] == [
                f"| {name} | {' | '.join(row)} |"
                for name, row in zip(CRITERIA, rows, strict=True)
            ]


def test_report_holds_the_records(finished):
    folder, records = finished
    summary = json.loads((folder / "report.json").read_text())
    assert summary["records"] == records
    assert summary["seed"] == 4
    assert (folder / "one_shot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "removed", [(), (0.0,), (0.5, 1.0), 0.5, "0.5", ("a",), (1,)]
)
def test_fractions_out_of_range_are_refused(tmp_path, removed):
    with pytest.raises(ValueError, match="hold fractions in .0, 1.. Received"):
        sweep(tmp_path, removed=removed)
    assert not list(tmp_path.iterdir())


def test_fraction_that_cannot_be_removed_is_refused(tmp_path):
    with pytest.raises(ValueError, match="The nearest found is"):
        sweep(tmp_path, removed=(0.1, 0.999))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("frozen", [("first*",), {}, "first"])
def test_parts_that_are_no_dict_are_refused(tmp_path, frozen):
    with pytest.raises(ValueError, match="`frozen` must be a dict"):
        sweep(tmp_path, frozen=frozen)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["bn_batches", "score_batches"])
@pytest.mark.parametrize(
    "batches, rule", [(0, "int of at least 1"), (99, "a dataset of ")]
)
def test_batches_that_there_are_not_are_refused(tmp_path, name, batches, rule):
    with pytest.raises(ValueError, match=f"`{name}` must.*{rule}"):
        sweep(tmp_path, **{name: batches})
    assert not list(tmp_path.iterdir())


def test_model_without_batch_normalisation_is_measured_at_once(tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(inputs))
    totals = []
    records = sweep(
        tmp_path,
        model=keras.Model(inputs, layers.Dense(10)(x)),
        frozen=None,
        on_record=lambda _, progress: totals.append(progress[1]),
    )
    assert [record["when"] for record in records] == ["at once"] * 5
    assert totals == [5] * 5


def test_labels_that_are_no_classes_are_refused(tmp_path):
    test = data.digits("test", batch_size=100)
    good, bad = (
        test.map(lambda x, y, extra=extra: (x, tf.cast(y, tf.float32) + extra))
        for extra in (0.0, 0.5)
    )
    with pytest.raises(ValueError, match="labels of `test_data` must be class"):
        sweep(tmp_path, test_data=good.concatenate(bad))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("test_data", None, "must be a tf.data.Dataset.* Received: None"),
        ("output_dir", None, "path of a folder.*Received: output_dir=None"),
        ("loss_fn", None, "must be a function .*loss_fn=None"),
        ("seed", -1, "an int from 0 to .*seed=-1"),
    ],
)
def test_wrong_argument_is_refused(tmp_path, name, value, message):
    with pytest.raises(ValueError, match=message):
        sweep(**({"folder": tmp_path} | {name: value}))
    assert not list(tmp_path.iterdir())


def test_model_without_accuracy_is_refused(tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3)(inputs)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(1, 3)(x))
    with pytest.raises(ValueError, match="for each class, and.* Received: 'fu"):
        sweep(
            tmp_path,
            model=keras.Model(inputs, x),
            loss_fn=lambda labels, outputs: outputs[:, 0],
            frozen=None,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_command_measures_once(tmp_path):
    run = scripts.runner("one_shot.py", CONFIG, tmp_path)
    first = run("out")
    assert first.returncode == 0, first.stderr
    assert "measurement 3/3, loss" in first.stdout
    assert "MACs removed" in first.stdout
    again = run("out")
    assert "Nothing to do" in again.stdout
    assert "MACs removed" in again.stdout
    other = run("out", "one_shot.one_shot.bn_batches = 1")
    assert other.returncode == 1
    assert "+one_shot.one_shot.bn_batches = 1" in other.stderr
