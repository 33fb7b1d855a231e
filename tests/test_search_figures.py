"""Tests for tfprune.search_figures."""

import numpy as np

from tfprune import search_figures

DAMAGE = [0.1, 0.2, 0.3, 0.4, 0.8]


def row(name, before, after, damage=DAMAGE):
    return {
        "layer": name,
        "before": before,
        "after": after,
        "halves": 3,
        "moves": [],
        "damage": damage,
    }


SUMMARY = {"search": [row("a", 8, 2), row("b", 4, 3), row("c", 2, 2, None)]}
RECORDS = [
    {"step": 10, "filters/a": 8, "filters/b": 3, "filters/c": 2},
    {"step": 30, "filters/a": 2, "filters/b": 3, "filters/c": 2},
    {"step": 90, "phase": "fine-tune"},
]


def test_filters_change_when_a_round_ends():
    drawing = search_figures.widths(SUMMARY, RECORDS)
    axes, bar = drawing.axes
    (mesh,) = axes.collections
    edges = mesh.get_coordinates()[0, :, 0]
    np.testing.assert_allclose(edges[:3], [0, 10, 30])
    shares = mesh.get_array().reshape(3, 3)
    np.testing.assert_allclose(
        shares, [[1, 1, 0.25], [1, 0.75, 0.75], [1, 1, 1]]
    )
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["a", "b", "c"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # The first layer is on top.


def test_second_search_of_some_layers():
    later = [*RECORDS, {"step": 99, "filters/a": 1}]
    drawing = search_figures.widths(SUMMARY, later)
    (mesh,) = drawing.axes[0].collections
    shares = mesh.get_array().reshape(3, -1)
    # The others are not searched again, and stay as they were.
    np.testing.assert_allclose(shares[:, -1], [1 / 8, 3 / 4, 1])


def test_boxes_are_those_of_the_layers_that_were_searched():
    drawing = search_figures.damage(SUMMARY)
    (axes,) = drawing.axes
    assert [x.get_text() for x in axes.get_yticklabels()] == ["a", "b"]
    lines = [line.get_xdata() for line in axes.lines]
    assert min(map(min, lines)) == 0.1 and max(map(max, lines)) == 0.8


def test_nothing_is_drawn_without_a_search():
    assert search_figures.widths({}, RECORDS) is None
    assert search_figures.damage({}) is None
    assert search_figures.widths(SUMMARY, RECORDS[2:]) is None
    assert search_figures.damage({"search": [row("a", 2, 2, None)]}) is None
