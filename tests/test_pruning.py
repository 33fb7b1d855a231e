"""Tests for tfprune.pruning."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

from absl import logging
import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import test_exporting
from tests import tiny_run
from tfprune import budgets
from tfprune import costs
from tfprune import criteria
from tfprune import evaluation
from tfprune import exporting
from tfprune import journal
from tfprune import losses
from tfprune import methods
from tfprune import pretraining
from tfprune import replicas
from tfprune import report
from tfprune import serving
from tfprune import training

ROOT = pathlib.Path(__file__).parent.parent


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Returns the folder of a finished run; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    tiny_run.run(folder, config="a = 1\nb = 2")
    return folder


@pytest.fixture(scope="module")
def unnamed(tmp_path_factory):
    """Returns the folder of a finished run without a configuration."""
    folder = tmp_path_factory.mktemp("runs") / "unnamed"
    tiny_run.run(folder)
    return folder


@pytest.fixture
def again(finished, tmp_path):
    """Returns a copy of a run that was killed before its export."""
    folder = tmp_path / "again"
    shutil.copytree(finished, folder)
    for path in ("1", "figures"):
        shutil.rmtree(folder / path)
    for path in ("model.keras", "report.json", "report.md"):
        (folder / path).unlink()
    return folder


def contents(folder):
    """Returns {path: (bytes, time of change)} of all files in a folder."""
    return {
        str(path.relative_to(folder)): (
            path.read_bytes(),
            path.stat().st_mtime_ns,
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def records(folder):
    """Returns the records of a run without its times."""
    kept = journal.read(folder / "records.jsonl")
    return [{k: v for k, v in r.items() if k != "seconds"} for r in kept]


def weights(folder):
    return keras.models.load_model(folder / "model.keras").get_weights()


def state(folder):
    """Returns the last checkpoint without its time, {name: array}."""
    path = tf.train.latest_checkpoint(folder / "checkpoints")
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if not name.startswith(("_CHECKPOINT", "save_counter", "seconds"))
    }


def assert_same_run(left, right):
    """Asserts that two runs are equal to the last bit."""
    assert records(left) == records(right)
    for a, b in zip(weights(left), weights(right), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_same_state(left, right)


def assert_same_state(left, right):
    """Asserts that the last checkpoints are equal to the last bit."""
    ours, others = state(left), state(right)
    assert ours.keys() == others.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, others[name])


def warnings(monkeypatch):
    """Returns a list that fills with what is logged as a warning."""
    found = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: found.append(text % args)
    )
    return found


def damage(folder, step, suffix="index", how="truncated"):
    """Truncates a file of a checkpoint in its middle, or changes a byte."""
    path = folder / "checkpoints" / f"ckpt-{step}.{suffix}"
    content = bytearray(path.read_bytes())
    if how == "truncated":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 4] ^= 1
    path.write_bytes(content)


# What a run leaves


def test_run_leaves_the_files_of_its_description(finished):
    assert sorted(p.name for p in finished.iterdir()) == [
        "1",
        "checkpoints",
        "figures",
        "logs",
        "model.keras",
        "records.jsonl",
        "report.json",
        "report.md",
        "run.json",
    ]
    assert (finished / "1" / "saved_model.pb").is_file()
    figures = sorted(p.name for p in (finished / "figures").iterdir())
    assert figures == ["channels.png", "run.png"]
    kept = sorted(p.name for p in (finished / "checkpoints").glob("*.index"))
    assert kept == ["ckpt-10.index", "ckpt-12.index", "ckpt-8.index"]
    assert list((finished / "logs").iterdir())


def test_report_holds_the_figures_of_merit(finished):
    summary = json.loads((finished / "report.json").read_text())
    small = keras.models.load_model(finished / "model.keras")
    assert summary["base"]["params"] == tiny_run.network().count_params()
    assert summary["pruned"]["params"] == small.count_params()
    assert summary["pruned"]["macs"] == costs.cost(small).macs
    assert summary["pruned"]["macs"] <= 0.5 * summary["base"]["macs"]
    for figures in (summary["base"], summary["pruned"]):
        assert 0 <= figures["accuracy"] <= 1
        assert figures["times"]["8"]["cpu_ms"]["median"] > 0
    proof = summary["verification"]
    assert 0 <= proof["max_abs_difference"] <= 1e-4 * proof["max_abs_output"]
    for layer in summary["layers"]:
        assert layer.keys() == {
            "name",
            "channels_before",
            "channels_after",
            "prunable",
            "reason",
        }
    assert summary["seed"] == tiny_run.SEED
    assert summary["uncounted"] == []
    assert summary["seconds"] > 0
    assert summary["versions"]["tensorflow"] == tf.__version__


def test_accuracy_of_the_report_is_that_of_the_model(finished):
    summary = json.loads((finished / "report.json").read_text())
    small = keras.models.load_model(finished / "model.keras")
    measures = evaluation.evaluate(
        small, tiny_run.dataset(), losses.CrossEntropy()
    )
    assert summary["pruned"]["accuracy"] == measures["accuracy"]
    assert records(finished)[-1]["accuracy"] == measures["accuracy"]


def test_model_needs_no_tfprune(finished):
    small = keras.models.load_model(finished / "model.keras")
    modules = {type(layer).__module__ for layer in small.layers}
    assert not any(name.startswith("tfprune") for name in modules)


def test_records_have_one_line_for_each_round(finished):
    found = journal.read(finished / "records.jsonl")
    assert [r["step"] for r in found] == [2, 4, 6, 8, 10, 12]
    assert [r["phase"] for r in found] == ["prune"] * 3 + ["fine-tune"] * 3
    seconds = [r["seconds"] for r in found]
    assert seconds == sorted(seconds) and seconds[0] > 0
    pruned = [r["step"] for r in found if r["pruned"]]
    measured = [r["step"] for r in found if "accuracy" in r]
    assert measured == [*pruned, 12]


def test_test_data_is_for_the_report_alone(tmp_path):
    test_data = tiny_run.dataset(tiny_run.IMAGES[:8], tiny_run.LABELS[:8])
    tiny_run.run(tmp_path, test_data=test_data, validation_data=None)
    assert not any("accuracy" in record for record in records(tmp_path))
    summary = json.loads((tmp_path / "report.json").read_text())
    assert summary["base"]["accuracy"] * 8 == pytest.approx(
        round(summary["base"]["accuracy"] * 8)
    )


@pytest.mark.parametrize("name", ["validation", "test", None])
def test_report_says_what_it_measured_on(tmp_path, name):
    data = {"validation_data": None}
    if name is not None:
        data[f"{name}_data"] = tiny_run.examples().batch(8)
    tiny_run.run(tmp_path, **data)
    summary = json.loads((tmp_path / "report.json").read_text())
    assert summary["measured_on"] == name
    assert (summary["pruned"]["accuracy"] is None) == (name is None)


def test_rounds_are_handed_over_with_the_progress(tmp_path):
    seen = []
    tiny_run.run(
        tmp_path, on_record=lambda record, progress: seen.append(
            (record["step"], progress)
        )
    )
    assert seen == [(step, (step, 12)) for step in range(2, 13, 2)]


@pytest.mark.slow
def test_serves_with_tensorflow_alone(finished, tmp_path):
    images, outputs = tmp_path / "images.npy", tmp_path / "outputs.npy"
    np.save(images, tiny_run.IMAGES)
    arguments = [finished / "1", images, outputs]
    subprocess.run(
        [sys.executable, "-c", test_exporting.SERVE, *arguments],
        cwd=tmp_path,
        check=True,
    )
    small = keras.models.load_model(finished / "model.keras")
    expected = small(tiny_run.IMAGES, training=False).numpy()
    np.testing.assert_allclose(
        np.load(outputs), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


# The same call again


def test_finished_run_does_nothing(finished, monkeypatch):
    before, found = contents(finished), warnings(monkeypatch)
    small = tiny_run.run(finished, config="a = 1\nb = 2")
    assert found == [f"Nothing to do: {finished} holds a finished run."]
    assert contents(finished) == before
    for a, b in zip(small.get_weights(), weights(finished), strict=True):
        np.testing.assert_array_equal(a, b)


def test_run_of_another_configuration_is_refused(finished):
    before = contents(finished)
    with pytest.raises(ValueError, match=r"(?s)same config.*\n-b = 2\n\+b = 3"):
        tiny_run.run(finished, config="a = 1\nb = 3")
    assert contents(finished) == before


@pytest.mark.parametrize(
    "name, make",
    [
        ("seed", lambda: 8),
        ("method", lambda: tiny_run.method(0.06)),
        ("loss_fn", lambda: losses.CrossEntropy(0.1)),
        ("dataset", lambda: tiny_run.dataset().take(2)),
        ("validation_data", lambda: tiny_run.dataset().take(2)),
        ("test_data", tiny_run.dataset),
        ("model", tiny_run.network),  # of other weights
    ],
)
def test_run_of_other_settings_is_refused(unnamed, name, make):
    before = contents(unnamed)
    with pytest.raises(ValueError, match=r"(?s)same configuration.*\n\+"):
        tiny_run.run(unnamed, **{name: make()})
    assert contents(unnamed) == before


def test_run_of_the_same_settings_is_that_run(unnamed):
    before = contents(unnamed)
    tiny_run.run(unnamed)
    assert contents(unnamed) == before


def test_run_of_another_model_is_refused(again):
    before = contents(again / "checkpoints")
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(7, 3)(inputs)
    other = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    with pytest.raises(ValueError, match="must be those of the run in the fo"):
        tiny_run.run(
            again,
            model=other,
            method=tiny_run.method(budget=budgets.Budget(units=5)),
            config="a = 1\nb = 2",
        )
    assert contents(again / "checkpoints") == before


@pytest.mark.parametrize(
    "name", ["1/saved_model.pb", "model.keras", "report.md"]
)
def test_files_of_others_are_not_overwritten(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="holds .* but no run.json"):
        tiny_run.run(tmp_path)
    assert contents(tmp_path) == before


def test_other_files_in_the_folder_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    tiny_run.run(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "report.json").exists()


@pytest.mark.parametrize("moment", ["record", "checkpoint", "export", "report"])
def test_killed_run_ends_like_an_undisturbed_one(
    finished, tmp_path, monkeypatch, moment
):
    def kill(*args, **kwargs):
        raise Killed

    def fourth(call):
        calls = []

        def counted(*args, **kwargs):
            calls.append(args)
            return kill() if len(calls) == 4 else call(*args, **kwargs)

        return counted

    manager = tf.train.CheckpointManager
    with monkeypatch.context() as patch:
        if moment == "record":
            patch.setattr(
                journal, "append", fourth(journal.append)
            )
        elif moment == "checkpoint":
            patch.setattr(manager, "save", fourth(manager.save))
        elif moment == "export":
            patch.setattr(exporting, "export", kill)
        else:
            patch.setattr(report, "write", kill)
        with pytest.raises(Killed):
            tiny_run.run(tmp_path, config="a = 1\nb = 2")
    assert not (tmp_path / "report.json").exists()
    tiny_run.run(tmp_path, config="a = 1\nb = 2")
    assert [r["step"] for r in records(tmp_path)] == [2, 4, 6, 8, 10, 12]
    for a, b in zip(weights(tmp_path), weights(finished), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_run_killed_after_some_rounds_of_its_pretraining(tmp_path, rounds):
    def kill(record, progress):
        kill.count += 1
        if kill.count == rounds:
            raise Killed

    kill.count = 0
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    with pytest.raises(Killed):
        tiny_run.run(killed, pretraining=tiny_run.base(2), on_record=kill)
    assert len(records(killed / "base")) == min(rounds, 2)
    assert (killed / "base.keras").exists() == (rounds > 2)
    for folder in (killed, undisturbed):
        tiny_run.run(folder, pretraining=tiny_run.base(2))
    for phase in ("base", ""):
        losses_of = [
            [record["loss"] for record in records(folder / phase)]
            for folder in (killed, undisturbed)
        ]
        np.testing.assert_allclose(*losses_of, rtol=1e-4)


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """Returns the folder of a finished run of stages."""
    folder = tmp_path_factory.mktemp("runs") / "staged"
    tiny_run.run(folder, method=tiny_run.pipeline())
    return folder


def test_run_of_stages_leaves_a_folder_for_each(staged):
    names = sorted(path.name for path in (staged / "stages").iterdir())
    assert names == ["1_AOFP", "2_FineTuning"]
    for phase in (staged / "stages").iterdir():
        kept = sorted(path.name for path in phase.iterdir())
        assert kept == ["checkpoints", "logs", "records.jsonl"]
    for name in ("1", "model.keras", "report.json", "report.md"):
        assert (staged / name).exists()
    figures = sorted(p.name for p in (staged / "figures").iterdir())
    assert figures == ["channels.png", "damage.png", "run.png", "widths.png"]


def test_report_of_stages_is_one(staged):
    summary = json.loads((staged / "report.json").read_text())
    small = keras.models.load_model(staged / "model.keras")
    dense = costs.cost(tiny_run.network()).macs
    assert summary["budget"]["dense"] == dense
    assert summary["budget"]["reached"] == costs.cost(small).macs <= dense / 2
    for row in summary["layers"]:
        kernel = small.get_layer(row["name"]).kernel
        assert row["channels_after"] == kernel.shape[-1]
    search = records(staged / "stages" / "1_AOFP")
    moves = sum((row["moves"] for row in summary["search"]), [])
    moved = sum(filters for _, filters in moves)
    assert moved == sum(record["pruned"] for record in search) > 0
    assert [row["stage"] for row in summary["stages"]] == [
        "1_AOFP",
        "2_FineTuning",
    ]
    assert summary["stages"][0]["steps"] == search[-1]["step"]
    text = (staged / "report.md").read_text()
    for title in ("## Stages", "## Search", "(figures/widths.png)"):
        assert title in text


def test_fine_tuning_goes_on_with_what_the_search_left(staged):
    small = keras.models.load_model(staged / "model.keras")
    for record in records(staged / "stages" / "2_FineTuning"):
        assert record["macs"] == costs.cost(small).macs
        assert record["params"] == small.count_params()


def test_run_killed_within_each_stage_ends_like_an_undisturbed_one(
    staged, tmp_path
):
    def killer(stage):
        def kill(record, progress):
            if record["stage"] == f"stages/{stage}" and record["round"] == 2:
                raise Killed

        return kill

    for stage in ("1_AOFP", "2_FineTuning"):
        with pytest.raises(Killed):
            tiny_run.run(
                tmp_path, method=tiny_run.pipeline(), on_record=killer(stage)
            )
    tiny_run.run(tmp_path, method=tiny_run.pipeline())
    for phase in ("stages/1_AOFP", "stages/2_FineTuning"):
        ours, others = records(tmp_path / phase), records(staged / phase)
        assert [r["step"] for r in ours] == [r["step"] for r in others]
        for left, right in zip(ours, others):
            np.testing.assert_allclose(left["loss"], right["loss"], rtol=1e-3)
            for a, b in zip(left.get("halves", []), right.get("halves", [])):
                a.pop("damage"), b.pop("damage")
                assert a == b


def test_budgets_of_all_searches_are_shares_of_the_original(tmp_path):
    def trainer():
        return training.Trainer(keras.optimizers.SGD(0.01, momentum=0.9))

    def search(share):
        return methods.AOFP(
            budgets.Budget(macs=share, tolerance=0.2),
            trainer(),
            steps=300,
            threshold=0.5,
            half_steps=2,
            warmup=1,
        )

    parts = [search(0.8), methods.FineTuning(trainer(), 2), search(0.5)]
    small = tiny_run.run(tmp_path, method=methods.Pipeline(parts))
    dense = costs.cost(tiny_run.network()).macs
    summary = json.loads((tmp_path / "report.json").read_text())
    first, _, last = summary["stages"]
    assert 0.5 * dense < first["macs"] <= 0.8 * dense
    assert 0.3 * dense < last["macs"] <= 0.5 * dense
    assert summary["budget"]["dense"] == dense
    assert summary["budget"]["reached"] == costs.cost(small).macs
    assert [row["layer"] for row in summary["search"]] == ["first", "second"]
    widths = {x["name"]: x for x in summary["layers"]}
    for row in summary["search"]:
        layer = widths[row["layer"]]
        assert layer["channels_before"] == row["before"]
        assert layer["channels_after"] == row["after"]
        gone = sum(filters for _, filters in row["moves"])
        assert gone == row["before"] - row["after"]
    last = max(step for row in summary["search"] for step, _ in row["moves"])
    assert last == sum(stage["steps"] for stage in summary["stages"])


def test_trainer_of_two_stages_is_refused_before_any_file(tmp_path):
    own = training.Trainer(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match="one trainer in several stages"):
        methods.Pipeline([methods.FineTuning(own, 2) for _ in range(2)])
    one = methods.FineTuning(own, 2)
    base = pretraining.Pretraining(own, 1)
    method = methods.Pipeline([tiny_run.method(), one])
    with pytest.raises(ValueError, match="state of one model"):
        tiny_run.run(tmp_path, method=method, pretraining=base)
    assert not list(tmp_path.iterdir())


def test_fine_tuning_alone_is_reported(tmp_path):
    trainer = training.Trainer(keras.optimizers.SGD(0.05))
    tiny_run.run(tmp_path, method=methods.FineTuning(trainer, 4))
    summary = json.loads((tmp_path / "report.json").read_text())
    assert summary["base"]["params"] == summary["pruned"]["params"]
    assert "Budget" not in (tmp_path / "report.md").read_text()


def test_base_is_kept(tmp_path):
    model = tiny_run.network()
    tiny_run.run(tmp_path, model=model, pretraining=tiny_run.base(2))
    saved = keras.models.load_model(tmp_path / "base.keras")
    for a, b in zip(saved.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [r["epoch"] for r in records(tmp_path / "base")] == [1, 2]
    assert all("accuracy" in r for r in records(tmp_path / "base"))


def test_base_of_another_run_is_not_taken(tmp_path):
    def kill(record, progress):
        raise Killed

    with pytest.raises(Killed):
        tiny_run.run(tmp_path, pretraining=tiny_run.base(2), on_record=kill)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r'(?s)same config.*\n\+ +"epochs": 3'):
        tiny_run.run(tmp_path, pretraining=tiny_run.base(3))
    assert contents(tmp_path) == before


def test_seconds_are_those_of_the_whole_run(tmp_path):
    def pause(record, progress):
        time.sleep(0.5)
        if record["step"] == 6 and "round" in record:
            raise Killed

    for _ in range(2):
        started = time.monotonic()
        with contextlib.suppress(Killed):
            tiny_run.run(
                tmp_path, pretraining=tiny_run.base(2), on_record=pause
            )
    summary = json.loads((tmp_path / "report.json").read_text())
    last = journal.read(tmp_path / "records.jsonl")[-1]
    # Pauses after the last record that was saved before the kill are lost.
    assert summary["seconds"] > last["seconds"] + 0.5
    assert summary["seconds"] > (time.monotonic() - started) / 2 + 4 * 0.5
    first = journal.read(tmp_path / "base" / "records.jsonl")[0]
    assert first["seconds"] < summary["seconds"]


def test_run_goes_on_under_another_number_of_replicas(again, finished):
    damage(again, 12)
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        tiny_run.run(again, config="a = 1\nb = 2")
    ours, others = records(again), records(finished)
    assert ours[:-1] == others[:-1]
    assert ours[-1]["units"] == others[-1]["units"]
    assert (again / "report.json").exists()


def test_run_of_two_replicas_goes_on_with_one(tmp_path, monkeypatch):
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )

    def kill(record, progress):
        if record["step"] == 8:
            raise Killed

    with pytest.raises(Killed), strategy.scope():
        tiny_run.run(tmp_path, on_record=kill)
    before = records(tmp_path)
    tiny_run.run(tmp_path)
    assert records(tmp_path)[:4] == before
    assert records(tmp_path)[-1]["step"] == 12


# Checkpoints that cannot be read


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("how", ["truncated", "changed"])
def test_corrupt_newest_checkpoint_falls_back(
    again, finished, monkeypatch, suffix, how
):
    damage(again, 12, suffix, how)
    found = warnings(monkeypatch)
    tiny_run.run(again, config="a = 1\nb = 2")
    (warning,) = [text for text in found if "cannot be read" in text]
    assert "ckpt-12" in warning and "the one before" in warning
    assert [r["step"] for r in records(again)] == [2, 4, 6, 8, 10, 12]
    assert records(again)[:-1] == records(finished)[:-1]


def test_two_corrupt_checkpoints_fall_back_further(again, monkeypatch):
    damage(again, 12)
    (again / "checkpoints" / "ckpt-10.data-00000-of-00001").unlink()
    found = warnings(monkeypatch)
    tiny_run.run(again, config="a = 1\nb = 2")
    assert len([text for text in found if "cannot be read" in text]) == 2
    assert records(again)[-1]["step"] == 12


@pytest.mark.parametrize("content", [None, b"", b"\xff not a proto"])
def test_damaged_list_of_checkpoints_loses_nothing(
    again, finished, monkeypatch, content
):
    path = again / "checkpoints" / "checkpoint"
    path.unlink() if content is None else path.write_bytes(content)
    monkeypatch.setattr(tiny_run.methods.Iterative, "step", no_step)
    tiny_run.run(again, config="a = 1\nb = 2")
    assert records(again) == records(finished)


def no_step(self):
    raise AssertionError("The run is at its end.")


def test_run_without_a_checkpoint_to_read_is_refused(again):
    for step in (8, 10, 12):
        damage(again, step)
    before = contents(again)
    before.pop("run.json")
    with pytest.raises(OSError, match="of which none can be. Delete the fold"):
        tiny_run.run(again, config="a = 1\nb = 2")
    after = contents(again)
    assert {k: after[k] for k in before} == before


# What stops a run


def test_loss_that_is_not_finite_names_the_step(tmp_path):
    with pytest.raises(FloatingPointError, match=r"in training step \d+\. Low"):
        tiny_run.run(tmp_path, method=tiny_run.method(1e20))
    assert not (tmp_path / "report.json").exists()


def test_checkpoints_stay_when_the_loss_is_not_finite(tmp_path):
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([6], [0.05, 1e30])
    with pytest.raises(FloatingPointError, match=r"finite. Rec.* step \d+\."):
        tiny_run.run(tmp_path, method=tiny_run.method(rate))
    assert [r["step"] for r in records(tmp_path)][:3] == [2, 4, 6]
    for values in state(tmp_path).values():
        assert np.all(np.isfinite(values))


class Enormous:
    """A loss that is finite, as its gradient is."""

    def __call__(self, labels, outputs):
        return 1e6 * losses.CrossEntropy()(labels, outputs)


def overflowing(steps):
    """Returns a learning rate of which the step after `steps` overflows."""
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        [steps - 1], [5e-8, 3e38]
    )


@pytest.mark.parametrize("devices", [["CPU:0"], ["CPU:0", "CPU:1"]])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, devices):
    strategy = tf.distribute.MirroredStrategy(
        devices, tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        with pytest.raises(
            FloatingPointError,
            match=r"must stay finite. Received: 'first/kernel'.* step 4\.",
        ):
            tiny_run.run(
                tmp_path,
                method=tiny_run.method(overflowing(3)),
                loss_fn=Enormous(),
            )
    assert [r["step"] for r in records(tmp_path)] == [2]
    assert not (tmp_path / "checkpoints" / "ckpt-4.index").exists()
    for values in state(tmp_path).values():
        assert np.all(np.isfinite(values))


@keras.saving.register_keras_serializable("tests")
class Shut(keras.layers.Layer):
    """Adds a constant that is minus infinity for one channel."""

    def build(self, shape):
        self.shift = self.add_weight(
            shape=shape[-1:], initializer="zeros", trainable=False
        )
        self.shift.assign([-np.inf] + [0.0] * (shape[-1] - 1))

    def call(self, inputs):
        return keras.ops.relu(inputs + self.shift)


def test_weight_that_was_infinite_before_may_stay_so(tmp_path):
    model = tiny_run.network()
    y = keras.layers.Dense(6)(model.output)
    y = keras.layers.Dense(model.output_shape[-1])(Shut()(y))
    tiny_run.run(tmp_path, model=keras.Model(model.input, y))
    assert (tmp_path / "report.json").exists()


def test_full_disk_leaves_a_run_that_can_be_finished(
    tmp_path, finished, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(tf.saved_model, "save", test_exporting.full_disk)
        with pytest.raises(OSError, match="No space left.*free space or choos"):
            tiny_run.run(tmp_path)
    assert not (tmp_path / "1").exists()
    assert not list(tmp_path.rglob("*.partial*"))
    tiny_run.run(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {path.name for path in finished.iterdir()}


def test_version_on_disk_is_that_of_the_model(tmp_path, monkeypatch):
    def kill(*args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(report, "write", kill)
        with pytest.raises(Killed):
            tiny_run.run(tmp_path)
    small = tiny_run.run(tmp_path)
    served = serving.load(tmp_path / "1")
    np.testing.assert_allclose(
        served.call(tiny_run.IMAGES)["class"],
        small(tiny_run.IMAGES, training=False),
        rtol=1e-5,
        atol=1e-5,
    )


# Bad input: nothing is written


def subclassed():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    return Subclassed()


def images_only():
    return tf.data.Dataset.from_tensor_slices(tiny_run.IMAGES).batch(8)


def network_of(name, side=6):
    """Returns a network of images of a size and a name."""
    inputs = keras.Input((side, side, 2), name=name)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3)(inputs))
    return keras.Model(inputs, layers.Dense(3)(x))


@pytest.mark.parametrize(
    "name, make, message",
    [
        (
            "model",
            lambda: network_of("my image"),
            r"Inputs need different names .* Received: \['my image'\]",
        ),
        (
            "model",
            lambda: network_of("image", None),
            "Multiply-accumulates can be counted only where all sizes are",
        ),
        ("model", subclassed, "must be a Functional or Sequential model"),
        (
            "model",
            lambda: keras.Sequential([layers.Dense(3)]),
            "must be built. Received: the unbuilt",
        ),
        (
            "dataset",
            lambda: tiny_run.dataset(tiny_run.IMAGES, tiny_run.LABELS + 1),
            "Labels must be from 0 to 2, for 3 classes. Received: labels 3",
        ),
        (
            "dataset",
            lambda: tiny_run.dataset(tiny_run.IMAGES[:, 1:]),
            r"\(None, 6, 6, 2\). Received: inputs of shape \(8, 5, 6, 2\)",
        ),
        ("dataset", images_only, r"yields \(inputs, labels\). Received: "),
        (
            "dataset",
            lambda: tiny_run.dataset().take(0),
            "must not be empty. Received: 0 batches",
        ),
        (
            "validation_data",
            lambda: tiny_run.dataset(tiny_run.IMAGES[:, 1:]),
            r"Received: inputs of shape \(8, 5, 6, 2\)",
        ),
        (
            "test_data",
            lambda: tiny_run.dataset().take(0),
            "must not be empty. Received: 0 batches",
        ),
        (
            "method",
            lambda: tiny_run.method(budget=budgets.Budget(macs=0.01)),
            "cannot be met with .* The nearest found is",
        ),
        (
            "method",
            lambda: tiny_run.method(criterion=criteria.BNScale()),
            "^BNScale must find what it reads for every prunable unit",
        ),
        (
            "method",
            lambda: tiny_run.method(
                trainer=training.Trainer(keras.optimizers.Adafactor())
            ),
            "Every slot of the optimizer must belong to one weight. Received",
        ),
        (
            "loss_fn",
            lambda: keras.losses.SparseCategoricalCrossentropy(True),
            "must return one loss for each example",
        ),
    ],
)
def test_bad_input_is_refused_and_nothing_written(
    tmp_path, name, make, message
):
    with pytest.raises(ValueError, match=message):
        tiny_run.run(
            tmp_path / "run", **{name: make()}, pretraining=tiny_run.base()
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("method", tiny_run.methods.Iterative, "method=<class '.*Iterative'>"),
        ("method", "taylor", "must be a Method, .* Received: method='taylor'"),
        ("method", None, "must be a Method, .* Received: method=None"),
        ("loss_fn", None, r"a function `\(labels, outputs\)`.*: loss_fn=None"),
        ("loss_fn", "mse", "must be a function .* Received: loss_fn='mse'"),
        ("loss_fn", losses.CrossEntropy, r"loss_fn=<class '.*CrossEntropy'>"),
        ("output_dir", None, "path of a folder.*Received: output_dir=None"),
        ("pretraining", 3, "be a Pretraining, .* Received: pretraining=3"),
        ("seed", 1.5, r"an int from 0 to .* or None. Received: seed=1.5"),
        ("seed", -1, r"an int from 0 to .* or None. Received: seed=-1"),
        ("seed", 2**32, "an int from 0 to .* Received: seed=4294967296"),
        ("dataset", None, "must be a tf.data.Dataset .* Received: None"),
        ("dataset", iter([]), "must be a tf.data.Dataset .* Received: <list"),
        ("validation_data", 3, "must be a tf.data.Dataset .* Received: 3"),
    ],
)
def test_wrong_argument_is_refused(tmp_path, name, value, message):
    settings = {"output_dir": tmp_path / "run", name: value}
    with pytest.raises(ValueError, match=message):
        tiny_run.run(settings.pop("output_dir"), **settings)
    assert list(tmp_path.iterdir()) == []


def test_latency_is_refused_on_several_machines(tmp_path, monkeypatch):
    monkeypatch.setattr(replicas, "count_workers", lambda: 2)
    method = tiny_run.method(budget=budgets.Budget(latency_ms=0.5))
    with pytest.raises(ValueError, match="one machine, .* with 2 workers"):
        tiny_run.run(tmp_path / "run", method=method)
    assert list(tmp_path.iterdir()) == []


def test_trainer_of_both_trainings_is_refused(tmp_path):
    base = tiny_run.base()
    method = tiny_run.method(trainer=base.trainer)
    with pytest.raises(ValueError, match="keeps the state of one model"):
        tiny_run.run(tmp_path / "run", method=method, pretraining=base)
    assert list(tmp_path.iterdir()) == []


def test_optimizer_of_both_trainings_is_refused(tmp_path):
    base = tiny_run.base()
    shared = training.Trainer(base.trainer.optimizer)
    method = tiny_run.method(trainer=shared)
    with pytest.raises(ValueError, match="optimizer must be new: .* 0 steps"):
        tiny_run.run(tmp_path / "run", method=method, pretraining=base)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/run"])
def test_folder_that_cannot_be_written_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="must be a folder that can be written"):
        tiny_run.run(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


# Processes


def start(
    folder, strategy="one_device", pause=0.0, method="iterative", **environment
):
    return subprocess.Popen(
        [
            sys.executable,
            *("-m", "tests.tiny_run", folder, strategy, str(pause), method),
        ],
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )


def lines(folder):
    paths = folder.rglob("records.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in paths)


@pytest.mark.slow
@pytest.mark.parametrize("method", tiny_run.METHODS)
def test_run_killed_five_times_is_equal_to_the_last_bit(tmp_path, method):
    moments = random.Random(0)
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    assert start(undisturbed, method=method).wait() == 0
    for _ in range(5):
        before = lines(killed)
        process = start(killed, pause=0.1, method=method)
        while lines(killed) < before + 2:  # it rewinds at most one
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (killed / "report.json").exists()
    assert start(killed, method=method).wait() == 0
    phases = [path.parent for path in undisturbed.rglob("records.jsonl")]
    assert len(phases) == (3 if method == "pipeline" else 2)
    for phase in phases:
        again = killed / phase.relative_to(undisturbed)
        assert records(again) == records(phase)
        assert_same_state(again, phase)
    for a, b in zip(weights(killed), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(a, b)
    bases = [
        keras.models.load_model(folder / "base.keras").get_weights()
        for folder in (killed, undisturbed)
    ]
    for a, b in zip(*bases, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_two_workers_write_one_run(tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert start(alone).wait() == 0
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    workers = [
        start(
            together,
            "multi_worker",
            TF_CONFIG=json.dumps(
                {
                    "cluster": {"worker": addresses},
                    "task": {"type": "worker", "index": index},
                }
            ),
        )
        for index in range(2)
    ]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert sorted(p.name for p in together.iterdir()) == sorted(
        p.name for p in alone.iterdir()
    )
    # Dropout and batch moments differ on each worker, and so may the way there.
    assert records(together)[-1]["units"] == records(alone)[-1]["units"]


def free_ports(count):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
