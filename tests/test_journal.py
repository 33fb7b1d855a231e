"""Tests for tfprune.journal."""

import os

import numpy as np
import pytest
import tensorflow as tf

from tfprune import journal

RECORDS = [
    {"step": 0, "phase": "prune", "loss": float("nan"), "macs": 280000},
    {"step": 5, "phase": "prune", "accuracy": 0.9, "macs": 112000},
    {"step": 9, "phase": "tune", "accuracy": 0.97, "macs": 112000},
]


def test_records_round_trip_in_order(tmp_path):
    path = tmp_path / "run" / "records.jsonl"
    for record in RECORDS:
        journal.append(path, record)
    assert journal.read(path) == [{**RECORDS[0], "loss": None}] + (
        RECORDS[1:]
    )
    assert len(path.read_text().splitlines()) == 3


def test_records_hold_types_of_json(tmp_path):
    path = tmp_path / "records.jsonl"
    record = {
        "step": np.int64(3),
        "loss": tf.constant(0.5),
        "weight": tf.Variable(2),
        "learning_rate": np.float32(0.25),
        "infinite": -np.inf,
        "done": np.True_,
        "kept": np.array([1, 2]),
        "phase": "prune",
    }
    journal.append(path, record)
    assert journal.read(path) == [
        {
            "step": 3,
            "loss": 0.5,
            "weight": 2,
            "learning_rate": 0.25,
            "infinite": None,
            "done": True,
            "kept": [1, 2],
            "phase": "prune",
        }
    ]


def test_no_records(tmp_path):
    assert journal.read(tmp_path / "records.jsonl") == []


def test_torn_last_line_is_dropped_and_replaced(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"step": 0}\n{"step": 1, "lo')
    assert journal.read(path) == [{"step": 0}]
    journal.append(path, {"step": 1})
    assert path.read_text() == '{"step": 0}\n{"step": 1}\n'


def test_only_a_torn_line(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"st')
    assert journal.read(path) == []
    journal.append(path, {"step": 0})
    assert journal.read(path) == [{"step": 0}]


def test_damaged_line_is_refused(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"step": 0}\n\x00\x00\n{"step": 2}\n')
    with pytest.raises(ValueError, match="Each line.*records.jsonl.*remove"):
        journal.read(path)


def test_each_record_is_flushed_to_the_disk(tmp_path, monkeypatch):
    path = tmp_path / "records.jsonl"
    synced = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_text()))
    journal.append(path, {"step": 0})
    assert synced == ['{"step": 0}\n']


def test_rewind_drops_what_a_resumed_run_repeats(tmp_path):
    path = tmp_path / "records.jsonl"
    for step in [0, 5, 5, 9]:
        journal.append(path, {"step": step})
    journal.rewind(path, 5)
    assert [r["step"] for r in journal.read(path)] == [0, 5, 5]
    journal.append(path, {"step": 9})
    assert [r["step"] for r in journal.read(path)] == [0, 5, 5, 9]


def test_scalars_for_tensorboard(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    journal.log_scalars(writer, {**RECORDS[1], "loss": None})
    writer.close()
    (path,) = tmp_path.iterdir()
    events = tf.compat.v1.train.summary_iterator(str(path))
    found = {
        value.tag: (event.step, float(tf.make_ndarray(value.tensor)))
        for event in events
        for value in event.summary.value
    }
    assert found == {
        "accuracy": (5, pytest.approx(0.9)),
        "macs": (5, 112000.0),
    }


def test_values_of_no_type_of_json_are_refused(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        journal.append(tmp_path / "records.jsonl", {"step": object()})
    assert journal.read(tmp_path / "records.jsonl") == []
