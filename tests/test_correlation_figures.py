"""Tests for tfprune.correlation_figures."""

import numpy as np

from tfprune import correlation_figures

XS = (0.5, 1.5, 2.5)  # the middles of the columns
VALUES = {
    "Taylor": {None: 0.9, "first": 1.0, "second": 0.5},
    "Norm": {None: -0.75, "first": None, "second": -0.001},
}


def test_every_cell_has_its_colour_and_number():
    drawing = correlation_figures.heat_map(VALUES, "Agreement")
    axes, bar = drawing.axes
    (mesh,) = axes.collections
    np.testing.assert_array_equal(
        mesh.get_array().reshape(2, 3).filled(np.nan),
        [[0.9, 1.0, 0.5], [-0.75, np.nan, -0.001]],
    )
    assert mesh.get_clim() == bar.get_ylim() == (-1, 1)
    texts = {text.xy: text for text in axes.texts}
    written = [[texts[x, y].get_text() for x in XS] for y in (0.5, 1.5)]
    assert written == [["0.90", "1.00", "0.50"], ["-0.75", "–", "0.00"]]
    colours = [texts[x, 0.5].get_color() for x in XS]
    assert colours == ["white", "white", "black"]
    assert texts[0.5, 1.5].get_color() == "white"


def test_axes_name_criteria_and_layers_from_the_top_left():
    axes, _ = correlation_figures.heat_map(VALUES, "Agreement").axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["all", "first", "second"]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["Taylor", "Norm"]
    assert axes.get_ylim() == (2, 0)
    assert axes.get_title(loc="left") == "Agreement"
    (line,) = axes.lines  # Between all layers and the first of them.
    assert list(line.get_xdata()) == [1, 1]


def test_nothing_need_be_defined():
    values = {"Norm": {None: None, "first": None}}
    axes, _ = correlation_figures.heat_map(values, "Agreement").axes
    assert [text.get_text() for text in axes.texts] == ["–", "–"]
