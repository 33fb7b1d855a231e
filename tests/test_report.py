"""Tests for tfprune.report."""

import io
import json
import os
import sys

import keras
import matplotlib
from matplotlib import image
from matplotlib import pyplot
import numpy as np
import pytest
from rich import console
import tensorflow as tf

from tfprune import files
from tfprune import report


def times(one, eight):
    def spread(median):
        return {"median": median, "low": 0.9 * median, "high": 1.2 * median}

    return {
        "1": {"cpu_ms": spread(one), "wall_ms": spread(one / 2)},
        "8": {"cpu_ms": spread(eight), "wall_ms": spread(eight / 2)},
    }


def summary(**changes):
    return {
        "base": {
            "accuracy": np.float64(0.9833),
            "params": np.int64(61706),
            "macs": 280000,
            "times": times(0.6, 3.0),
        },
        "pruned": {
            "accuracy": 0.9778,
            "params": 30853,
            "macs": np.float32(112000),
            "times": times(0.5, 1.5),
        },
        "budget": {
            "resource": "macs",
            "dense": 280000,
            "target": 112500,
            "reached": np.int64(112000),
        },
        "verification": {
            "max_abs_difference": tf.constant(3.1e-7),
            "max_abs_output": np.float32(12.4),
        },
        "layers": [
            {
                "name": "conv",
                "channels_before": 16,
                "channels_after": np.int32(4),
                "prunable": True,
                "reason": None,
            },
            {
                "name": "logits",
                "channels_before": 10,
                "channels_after": 10,
                "prunable": np.False_,
                "reason": "model output",
            },
        ],
        "explanation": [
            {
                "name": "conv",
                "type": "Conv2D",
                "channels": 16,
                "groups": {"conv": np.int64(16)},
                "reasons": {},
                "counted": True,
            },
            {
                "name": "logits",
                "type": "Dense",
                "channels": 10,
                "groups": {},
                "reasons": {"model output": 10},
                "counted": True,
            },
        ],
        "measured_on": "test",
        "seed": 7,
        "seconds": 151.4,
        "versions": {"keras": "3.15.1"},
        **changes,
    }


RECORDS = [
    {"step": 0, "phase": "prune", "loss": float("nan"), "macs": 280000},
    {"step": 5, "phase": "prune", "accuracy": 0.9, "macs": 112000},
    {"step": 9, "phase": "tune", "accuracy": 0.97, "macs": 112000},
]


def names(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*"))


def strict(text):
    """Parses JSON as strict parsers do, which know no NaN."""

    def refuse(name):
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_versions():
    versions = report.versions()
    assert versions["tensorflow"] == tf.__version__
    assert versions["keras"] == keras.__version__
    assert versions["cpus"] == os.cpu_count()
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert versions["tfprune"]
    assert strict(json.dumps(versions)) == versions


def test_write_makes_the_contracted_files(tmp_path):
    report.write(tmp_path, summary(), RECORDS)
    assert names(tmp_path) == [
        "figures",
        "figures/channels.png",
        "figures/run.png",
        "report.json",
        "report.md",
    ]
    for name in ["channels", "run"]:
        pixels = image.imread(tmp_path / "figures" / f"{name}.png")
        assert pixels.shape[1] == 960
        assert pixels.std() > 0.05


def test_json_keeps_every_entry(tmp_path):
    report.write(tmp_path, summary(command="prune", extra=[1]), RECORDS)
    written = strict((tmp_path / "report.json").read_text())
    assert written["base"] == {
        "accuracy": 0.9833,
        "params": 61706,
        "macs": 280000,
        "times": times(0.6, 3.0),
    }
    assert written["pruned"]["macs"] == 112000
    assert written["verification"] == {
        "max_abs_difference": pytest.approx(3.1e-7),
        "max_abs_output": pytest.approx(12.4),
    }
    assert written["layers"][1] == {
        "name": "logits",
        "channels_before": 10,
        "channels_after": 10,
        "prunable": False,
        "reason": "model output",
    }
    assert written["seed"] == 7
    assert written["extra"] == [1]


def test_page_shows_the_figures_of_merit(tmp_path):
    report.write(tmp_path / "lenet", summary(command="prune.py"), RECORDS)
    lines = (tmp_path / "lenet" / "report.md").read_text().splitlines()
    assert lines[0] == "# lenet"
    assert "| Test accuracy | 98.33% | 97.78% | -0.55 points |" in lines
    assert "| Parameters | 61,706 | 30,853 | 50.0%, 2.00x less |" in lines
    assert (
        "| Multiply-accumulates per example | 280,000 | 112,000 "
        "| 40.0%, 2.50x less |"
    ) in lines
    assert (
        "| CPU time of a batch of 1 | 0.60 ms (0.54 to 0.72) "
        "| 0.50 ms (0.45 to 0.60) | 83.3%, 1.20x less |"
    ) in lines
    assert (
        "| Wall time of a batch of 8 | 1.50 ms (1.35 to 1.80) "
        "| 0.75 ms (0.68 to 0.90) | 50.0%, 2.00x less |"
    ) in lines
    assert (
        "Verified: the masked and the compacted model differ by at most "
        "3.1e-07; their largest output is 12.4."
    ) in lines
    assert (
        "Budget: 112,500 of 280,000 multiply-accumulates; reached 112,000."
    ) in lines


def test_page_shows_a_latency_with_its_decimals(tmp_path):
    budget = {"resource": "latency_ms", "dense": 4.56789, "target": 2.283945}
    report.write(tmp_path, summary(budget={**budget, "reached": 2.2}), RECORDS)
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert "Budget: 2.2839 of 4.5679 latency_ms; reached 2.2." in lines


def test_page_shows_layers_figures_and_origin(tmp_path):
    report.write(tmp_path, summary(command="prune.py --seed=7"), RECORDS)
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert "| conv | 16 | 4 | 25% |  |" in lines
    assert "| logits | 10 | 10 | 100% | model output |" in lines
    assert "| conv | Conv2D | 16 | 16 | conv |  |" in lines
    assert "| logits | Dense | 10 | 0 |  | model output |" in lines
    assert "![run](figures/run.png)" in lines
    assert "![channels](figures/channels.png)" in lines
    assert "prune.py --seed=7" in lines
    assert "| seed | 7 |" in lines
    assert "| time | 0:02:31 |" in lines
    assert "| keras | 3.15.1 |" in lines


def test_unknown_values_are_said_to_be_unknown(tmp_path):
    known = {"params": 5, "macs": 0, "times": times(1.0, 1.0)}
    unknown = {"accuracy": float("nan"), **known}
    report.write(tmp_path, summary(pruned=unknown), RECORDS)
    text = (tmp_path / "report.md").read_text()
    assert "| Test accuracy | 98.33% | unknown | unknown |" in text
    pruned = strict((tmp_path / "report.json").read_text())["pruned"]
    assert pruned == {"accuracy": None, **known}


def test_accuracy_is_called_by_its_data(tmp_path):
    report.write(tmp_path, summary(measured_on="validation"), RECORDS)
    text = (tmp_path / "report.md").read_text()
    assert "| Validation accuracy | 98.33% | 97.78% | -0.55 points |" in text
    assert "Test" not in text


def test_no_data_no_accuracy(tmp_path):
    base, pruned = (
        {**summary()[name], "accuracy": None} for name in ("base", "pruned")
    )
    unmeasured = summary(measured_on=None, base=base, pruned=pruned)
    report.write(tmp_path / "run", unmeasured, RECORDS)
    assert "accuracy" not in (tmp_path / "run" / "report.md").read_text()


def test_run_without_points_has_no_drawing(tmp_path):
    report.write(tmp_path, summary(), [{"step": 1, "macs": float("nan")}])
    assert "figures/run.png" not in names(tmp_path)
    assert "run.png" not in (tmp_path / "report.md").read_text()


def test_write_replaces_an_older_report(tmp_path):
    report.write(tmp_path, summary(), RECORDS)
    report.write(tmp_path, summary(seed=8), RECORDS)
    assert strict((tmp_path / "report.json").read_text())["seed"] == 8
    assert len(names(tmp_path)) == 5


def test_failed_write_leaves_no_partial_file(tmp_path, monkeypatch):
    report.write(tmp_path, summary(), RECORDS)

    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        report.write(tmp_path, summary(seed=8), RECORDS)
    assert strict((tmp_path / "report.json").read_text())["seed"] == 7
    assert len(names(tmp_path)) == 5


def test_json_is_written_last(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        files, "write_text", lambda path, _: written.append(path.name)
    )
    report.write(tmp_path, summary(), RECORDS)
    assert written == ["report.md", "report.json"]


def test_table_for_the_terminal():
    screen = console.Console(file=io.StringIO(), width=160)
    screen.print(report.table(summary()))
    text = screen.file.getvalue()
    for shown in [
        "61,706", "2.50x less", "-0.55 points", "3.1e-07", "logits", "model out"
    ]:
        assert shown in text


def test_names_of_layers_are_whole_on_a_narrow_terminal():
    row = {
        "layer": "conv4_block23_1_conv",
        "before": 64,
        "after": 7,
        "halves": 20,
        "moves": [[100 * n, 3] for n in range(19)],
        "damage": [0.011, 0.02, 0.033, 0.04, 0.055],
    }
    screen = console.Console(file=io.StringIO(), width=80)
    screen.print(report.table(summary(search=[row])))
    assert row["layer"] in screen.file.getvalue()


def test_drawing_leaves_matplotlib_alone(tmp_path):
    settings = dict(matplotlib.rcParams)
    report.write(tmp_path, summary(), RECORDS)
    assert dict(matplotlib.rcParams) == settings
    assert pyplot.get_fignums() == []


def test_report_names_the_layers_that_are_not_counted(tmp_path):
    report.write(tmp_path, summary(uncounted=["lstm", "gru"]), RECORDS)
    text = (tmp_path / "report.md").read_text()
    assert "leave out products of layers: lstm, gru." in text


def test_names_with_brackets_are_printed_as_they_are():
    screen = console.Console(width=120)
    with screen.capture() as capture:
        screen.print(report.table(summary(uncounted=["lstm[red]"])))
    assert "products of layers: lstm[red]." in capture.get()
