"""Tests for tfprune.stages."""

from tests import tiny_run
from tfprune import journal
from tfprune import stages
from tfprune.methods import base
from tfprune.methods import pipeline


class Stage(base.Method):
    """Says what it is told to."""

    def __init__(self, after, **said):
        self.after = after
        self.said = said

    def report(self, records=()):
        layers = [{"name": "a", "channels_before": 8, "reason": ""}]
        layers[0]["channels_after"] = self.after
        return {
            "layers": layers,
            "explanation": [f"of {self.after}"],
            "steps_seen": [record["step"] for record in records],
            **self.said,
        }


def record(step, **more):
    return {"step": step, "params": 100 - step, "macs": 10, **more}


def test_single_stage_lies_in_the_folder_of_the_run():
    method = tiny_run.method()
    assert stages.phases(method) == {"": method}


def test_stages_have_folders_in_their_order():
    parts = [Stage(6), Stage(4)]
    method = pipeline.Pipeline(parts)
    assert stages.phases(method) == {
        "stages/1_Stage": parts[0],
        "stages/2_Stage": parts[1],
    }


def test_steps_go_on_from_stage_to_stage(tmp_path):
    phases = stages.phases(pipeline.Pipeline([Stage(8), Stage(8), Stage(8)]))
    for phase, steps in zip(phases, ([5, 9], [], [2, 4])):
        for step in steps:
            journal.append(tmp_path / phase / "records.jsonl", record(step))
    found = stages.records(tmp_path, phases)
    assert [(r["step"], r["stage"]) for r in found] == [
        (5, "stages/1_Stage"),
        (9, "stages/1_Stage"),
        (11, "stages/3_Stage"),
        (13, "stages/3_Stage"),
    ]


def test_steps_of_halves_go_on_too(tmp_path):
    phases = stages.phases(pipeline.Pipeline([Stage(8), Stage(8)]))
    for phase, steps in zip(phases, ([3, 5], [2])):
        halves = [{"layer": "a", "step": step} for step in steps]
        each = record(6, halves=halves)
        journal.append(tmp_path / phase / "records.jsonl", each)
    found = stages.records(tmp_path, phases)
    steps = [[half["step"] for half in each["halves"]] for each in found]
    assert steps == [[3, 5], [8]]


def searched(layer, before, after, moves, damage):
    return {
        "layer": layer,
        "before": before,
        "after": after,
        "halves": len(moves) + 1,
        "moves": moves,
        "damage": damage,
    }


def test_searches_of_a_layer_are_told_together():
    one = [searched("a", 8, 6, [[3, 2]], [0.1]), searched("b", 4, 4, [], [0.3])]
    two = [
        searched("a", 6, 3, [[9, 2], [12, 1]], None),
        searched("c", 5, 5, [], None),
    ]
    phases = stages.phases(
        pipeline.Pipeline([Stage(6, search=one), Stage(3, search=two)])
    )
    a, b, c = stages.report(phases, [])["search"]
    assert a == {
        "layer": "a",
        "before": 8,
        "after": 3,
        "halves": 5,
        "moves": [[3, 2], [9, 2], [12, 1]],
        "damage": [0.1],
    }
    assert (b, c) == (one[1], two[1])


def test_report_is_that_of_the_whole_run():
    first = Stage(6, budget="first", verification="first")
    second = Stage(3, budget="second")
    last = Stage(3)
    phases = stages.phases(pipeline.Pipeline([first, second, last]))
    one, two, three = phases
    records = [
        record(4, stage=one),
        record(7, stage=one, accuracy=0.5),
        record(9, stage=three),
    ]
    report = stages.report(phases, records)
    (layer,) = report["layers"]
    assert (layer["channels_before"], layer["channels_after"]) == (8, 3)
    assert report["explanation"] == ["of 6"]
    assert report["budget"] == "second" and report["verification"] == "first"
    assert report["stages"] == [
        {
            "stage": "1_Stage",
            "steps": 7,
            "accuracy": 0.5,
            "params": 93,
            "macs": 10,
        },
        {
            "stage": "3_Stage",
            "steps": 2,
            "accuracy": None,
            "params": 91,
            "macs": 10,
        },
    ]


def test_single_stage_reports_as_before():
    only = Stage(6)
    report = stages.report({"": only}, [record(4, stage="")])
    assert report == only.report([record(4)])
