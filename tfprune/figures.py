"""Drawings of a run, made without pyplot or any other global state."""

import functools
import itertools
import math

from matplotlib import figure
from matplotlib import patches
from matplotlib import ticker

BEFORE, AFTER, FIXED = "#d3dbe6", "#1f5fa8", "#7d8794"
PHASES = ("#1f5fa8", "#d9822b", "#2e8b57", "#8e5ea2", "#c0392b")
GROUPS = [
    {"color": f"C{shade}", "hatch": hatch, "edgecolor": "white"}
    for hatch in (None, "//", "..", "xx", "--")
    for shade in (0, 1, 2, 3, 4, 5, 6, 8, 9)  # 7 is grey.
]
PERCENT = functools.partial(ticker.PercentFormatter, 1)
PANELS = {  # label, formatter and lowest value of the vertical axis
    "accuracy": ("validation accuracy", PERCENT, None),
    "macs": ("MACs per example", ticker.EngFormatter, 0),
}
TITLE = {"loc": "left", "fontsize": 12, "fontweight": "bold"}


def channels(layers):
    """Returns a drawing of the channels of each layer, before and after.

    Args:
        layers: List of dicts of `name`, `channels_before`, `channels_after`
            and `prunable`.
    """
    rows = range(len(layers))
    before = [layer["channels_before"] for layer in layers]
    after = [layer["channels_after"] for layer in layers]
    colours = [AFTER if layer["prunable"] else FIXED for layer in layers]
    drawing = blank(8, 1.3 + 0.22 * len(layers))
    axes = drawing.subplots()
    axes.barh(rows, before, height=0.8, color=BEFORE)
    axes.barh(rows, after, height=0.8, color=colours)
    for row in rows:
        axes.annotate(
            f"{after[row]:,} of {before[row]:,}",
            (before[row], row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(rows, [layer["name"] for layer in layers], fontsize=8)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.set_xlim(0, 1.18 * max(before, default=1))
    axes.set_xlabel("channels")
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    style(axes, "x")
    axes.set_title("Channels kept per layer", **TITLE)
    kinds = {"kept": AFTER, "may not be pruned": FIXED, "removed": BEFORE}
    marks = [patches.Patch(color=c, label=kind) for kind, c in kinds.items()]
    _legend(drawing, marks)
    return drawing


def groups(explanation, edges):
    """Returns a drawing of the layers of a model, their channels by group.

    Channels of one colour and hatching stay or go together; grey ones stay. If
    there are more groups than such looks, these come again, as the title says.

    Args:
        explanation: List of `Row`s of an `Explanation`.
        edges: Pairs of layer names, of which the second reads the first; those
            that skip a layer are drawn.
    """
    names = dict.fromkeys(k for row in explanation for k in row.groups)
    looks = dict(zip(names, itertools.cycle(GROUPS)))
    drawing = blank(8, 1 + 0.22 * len(explanation))
    axes = drawing.subplots()
    for place, row in enumerate(explanation):
        left = 0
        for name, width in row.groups.items():
            axes.barh(place, width, 0.8, left, **looks[name])
            left += width
        axes.barh(place, row.channels - left, 0.8, left, color=BEFORE)
    most = max(row.channels for row in explanation)
    places = {row.name: place for place, row in enumerate(explanation)}
    for first, second in edges:
        if places[second] > places[first] + 1:
            _skip(axes, 1.02 * most, places[first], places[second])
    labels = [f"{row.name}  {row.type}" for row in explanation]
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 1.3 * most)
    axes.set_xlabel("channels")
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    style(axes, "x")
    title = "Channels that stay or go together"
    if len(names) > len(GROUPS):
        title += f"; looks come again after {len(GROUPS)} groups"
    axes.set_title(title, **TITLE)
    return drawing


def run(summary, records):
    """Returns a drawing of accuracy and multiply-accumulates over the steps.

    Args:
        summary: Dict with `base` and `pruned`, each of `accuracy` and `macs`,
            and `measured_on`, the name of the data of those accuracies.
        records: List of dicts of `step` and, where known, `phase`, `accuracy`
            and `macs`. What no record knows is not drawn.

    Returns:
        The figure, or None if there is nothing to draw.
    """
    keys = [key for key in PANELS if _known(records, key)]
    if not keys:
        return None
    drawing = blank(8, 0.6 + 2.7 * len(keys))
    panels = drawing.subplots(len(keys), sharex=True, squeeze=False)[:, 0]
    for axes, key in zip(panels, keys, strict=True):
        label, formatter, lowest = PANELS[key]
        axes.set_ylabel(label)
        axes.yaxis.set_major_formatter(formatter())
        _series(axes, records, key)
        _references(axes, summary, key)
        axes.set_ylim(bottom=lowest)
        style(axes, "y")
    panels[0].set_title("Over the run", **TITLE)
    panels[-1].set_xlabel("step")
    panels[-1].xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    _legend(drawing, panels[0].get_legend_handles_labels()[0])
    return drawing


def sweep(panels):
    """Returns drawings of the accuracy over what was removed, two in a row.

    Args:
        panels: {title: {name: {fraction of the multiply-accumulates: accuracy
            without it}}}, all of the same names.
    """
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    drawing = blank(5 * columns, 0.5 + 3.4 * rows)
    grid = drawing.subplots(
        rows, columns, sharex=True, sharey=True, squeeze=False
    )
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes, (title, curves) in zip(grid.flat, panels.items()):
        for name, curve in curves.items():
            axes.plot(curve.keys(), curve.values(), ".-", label=name)
        axes.xaxis.set_major_formatter(PERCENT())
        axes.yaxis.set_major_formatter(PERCENT())
        style(axes, "y")
        axes.set_title(title, **TITLE)
    drawing.supxlabel("multiply-accumulates removed", fontsize=10)
    drawing.supylabel("test accuracy", fontsize=10)
    _legend(drawing, grid[0, 0].get_legend_handles_labels()[0])
    return drawing


def blank(width, height):
    """Returns a drawing of some inches, without axes."""
    return figure.Figure((width, height), dpi=120, layout="constrained")


def style(axes, grid):
    """Gives axes the look of all drawings, with a grid along "x" or "y"."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#e4e8ee")
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


def _skip(axes, x, start, end):
    """Draws a connection from one row of bars to another."""
    bow = patches.FancyArrowPatch(
        (x, start),
        (x, end),
        connectionstyle="arc,angleA=0,angleB=0,armA=18,armB=18,rad=9",
        arrowstyle="-|>",
        mutation_scale=8,
        color=FIXED,
    )
    axes.add_patch(bow)


def _legend(drawing, handles):
    drawing.legend(
        handles=handles,
        loc="outside upper right",
        ncols=len(handles),
        frameon=False,
        fontsize=9,
    )


def _known(records, key):
    return [r for r in records if r.get(key) is not None]


def _series(axes, records, key):
    """Draws the values that exist, coloured by phase."""

    def draw(points, *style, **look):
        xs, ys = [r["step"] for r in points], [r[key] for r in points]
        axes.plot(xs, ys, *style, **look)

    points = _known(records, key)
    draw(points, color=BEFORE)
    phases = dict.fromkeys(r.get("phase", "run") for r in records)
    for phase, colour in zip(phases, itertools.cycle(PHASES), strict=False):
        mine = [r for r in points if r.get("phase", "run") == phase]
        draw(mine, "o", color=colour, markersize=4, label=phase)


def _references(axes, summary, key):
    for name, style in (("base", "--"), ("pruned", ":")):
        if summary[name][key] is not None:
            data = f", {summary['measured_on']}" if key == "accuracy" else ""
            label = f"{name}{data}"
            axes.axhline(summary[name][key], ls=style, color=FIXED, label=label)
