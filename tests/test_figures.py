"""Tests for tfprune.figures."""

from matplotlib import patches
import numpy as np
import pytest

from tfprune import explanation
from tfprune import figures

SUMMARY = {
    "base": {"accuracy": 0.9, "macs": 100},
    "pruned": {"accuracy": 0.8, "macs": 40},
    "measured_on": "test",
}
UNKNOWN = {
    "base": {"accuracy": None, "macs": None},
    "pruned": {"accuracy": None, "macs": None},
    "measured_on": None,
}


def layers(count):
    return [
        {
            "name": f"stage{i // 20}_block{i % 20}_conv",
            "channels_before": 16 * (1 + i // 20),
            "channels_after": 7,
            "prunable": i < count - 1,
        }
        for i in range(count)
    ]


def row(name, groups, stay=0):
    channels = sum(groups.values()) + stay
    return explanation.Row(name, "Conv2D", channels, groups, {}, True)


def bars(axes):
    """Returns (row, left, width, look) of all bars that are not empty."""
    return [
        (
            round(bar.get_y() + 0.4),
            bar.get_x(),
            bar.get_width(),
            (bar.get_facecolor(), bar.get_hatch()),
        )
        for bar in axes.patches
        if isinstance(bar, patches.Rectangle) and bar.get_width()
    ]


def test_groups_lie_side_by_side_in_their_look():
    rows = [
        row("a", {"a": 4}, 2),
        row("b", {"b": 3}),
        row("c", {"a": 4, "b": 3}),
    ]
    edges = [("a", "b"), ("a", "c"), ("b", "c")]
    drawing = figures.groups(rows, edges)
    (axes,) = drawing.axes
    found = bars(axes)
    assert [bar[:3] for bar in found] == [
        (0, 0, 4), (0, 4, 2), (1, 0, 3), (2, 0, 4), (2, 4, 3)
    ]
    a, stays, b, again, more = (bar[3] for bar in found)
    assert a == again and b == more and len({a, b, stays}) == 3
    assert texts(axes.get_yticklabels())[2] == "c  Conv2D"
    arrows = [x for x in axes.patches if isinstance(x, patches.FancyArrowPatch)]
    assert len(arrows) == 1  # Only from "a" to "c".


def test_groups_look_different_as_long_as_looks_last():
    rows = [row(f"layer{i}", {f"layer{i}": 2}) for i in range(40)]
    (axes,) = figures.groups(rows, []).axes
    assert len({bar[3] for bar in bars(axes)}) == 40


def test_title_tells_that_looks_come_again():
    for count, told in ((45, False), (46, True)):
        rows = [row(f"layer{i}", {f"layer{i}": 2}) for i in range(count)]
        (axes,) = figures.groups(rows, []).axes
        title = axes.get_title(loc="left")
        assert ("looks come again after 45 groups" in title) is told


def texts(artists):
    return [artist.get_text() for artist in artists]


def overlap(drawing, artists):
    """Returns whether two neighbours of a list of artists overlap."""
    drawing.canvas.draw()
    boxes = [artist.get_window_extent() for artist in artists]
    return any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False))


def curves(axes):
    return {
        line.get_label(): np.array(line.get_xydata()).tolist()
        for line in axes.lines
    }


def test_channels_draws_before_and_after():
    (axes,) = figures.channels(layers(4)).axes
    before, after = axes.containers
    assert [bar.get_width() for bar in before] == [16] * 4
    assert [bar.get_width() for bar in after] == [7] * 4
    assert texts(axes.texts) == ["7 of 16"] * 4
    assert texts(axes.get_yticklabels())[0] == "stage0_block0_conv"
    assert axes.get_xlabel() == "channels"


def test_channels_marks_layers_that_may_not_be_pruned():
    drawing = figures.channels(layers(4))
    colours = [bar.get_facecolor() for bar in drawing.axes[0].containers[1]]
    assert colours[0] == colours[2] != colours[3]
    assert texts(drawing.legends[0].get_texts()) == [
        "kept", "may not be pruned", "removed"
    ]


@pytest.mark.parametrize("count", [1, 4, 60])
def test_labels_of_layers_do_not_overlap(count):
    drawing = figures.channels(layers(count))
    (axes,) = drawing.axes
    assert not overlap(drawing, axes.get_yticklabels())
    assert not overlap(drawing, axes.texts)
    right = max(text.get_window_extent().x1 for text in axes.texts)
    assert right <= drawing.bbox.x1


def test_channels_of_no_layers():
    assert figures.channels([]).axes


def test_run_draws_only_points_that_exist():
    records = [
        {"step": 1, "phase": "prune", "macs": 90},
        {"step": 2, "phase": "prune", "macs": 60, "accuracy": 0.5},
        {"step": 3, "phase": "tune", "accuracy": None, "macs": 40},
    ]
    above, below = figures.run(SUMMARY, records).axes
    assert curves(above)["prune"] == [[2, 0.5]]
    assert curves(above)["tune"] == []
    assert curves(below)["prune"] == [[1, 90], [2, 60]]
    assert curves(below)["tune"] == [[3, 40]]
    assert curves(above)["base, test"] == [[0, 0.9], [1, 0.9]]
    assert curves(below)["pruned"] == [[0, 40], [1, 40]]
    assert below.get_xlabel() == "step"


def test_accuracies_are_called_by_their_data():
    records = [{"step": 1, "accuracy": 0.5}]
    drawing = figures.run({**SUMMARY, "measured_on": "validation"}, records)
    labels = curves(drawing.axes[0]).keys()
    assert {"base, validation", "pruned, validation"} <= labels


def test_run_leaves_out_an_empty_panel():
    (axes,) = figures.run(SUMMARY, [{"step": 1, "macs": 90}]).axes
    assert axes.get_ylabel() == "MACs per example"


def test_run_without_points_is_none():
    assert figures.run(SUMMARY, []) is None
    assert figures.run(SUMMARY, [{"step": 1, "loss": 2.0}]) is None


def test_run_without_references():
    (axes,) = figures.run(UNKNOWN, [{"step": 1, "accuracy": 0.5}]).axes
    assert curves(axes).keys() - {"run"} == {"_child0"}


def test_axes_have_units():
    records = [{"step": 0, "accuracy": 0.5, "macs": 2e6}]
    records += [{"step": 9, "accuracy": 1.0, "macs": 1e6}]
    drawing = figures.run(SUMMARY, records)
    drawing.canvas.draw()
    above, below = drawing.axes
    assert below.get_ylim()[0] == 0 < above.get_ylim()[0]
    assert all("%" in text for text in texts(above.get_yticklabels()))
    assert "1 M" in " ".join(texts(below.get_yticklabels())).replace("1.0", "1")


@pytest.mark.parametrize("titles", ["a", "abc", "abcd"])
def test_sweep_draws_a_curve_for_each_name(titles):
    curve = {0.0: 0.9, 0.2: 0.8, 0.5: 0.3}
    panels = {
        title: {"norm": curve, "taylor": {x: y / 2 for x, y in curve.items()}}
        for title in titles
    }
    drawing = figures.sweep(panels)
    assert [axes.get_title("left") for axes in drawing.axes] == [*titles]
    for axes in drawing.axes:
        assert curves(axes) == {
            "norm": [[x, y] for x, y in curve.items()],
            "taylor": [[x, y / 2] for x, y in curve.items()],
        }
    assert texts(drawing.legends[0].get_texts()) == ["norm", "taylor"]
