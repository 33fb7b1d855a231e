"""What a finished run leaves to read: report.json, report.md and figures."""

import datetime
import importlib.metadata
import os
import pathlib
import platform

import keras
from rich import console
from rich import table as rich_table
from rich import text as rich_text
import tensorflow as tf

from tfprune import explanation
from tfprune import figures
from tfprune import files
from tfprune import journal

HEADLINE = ("measure", "base", "pruned", "pruned / base")
LAYERS = ("layer", "before", "after", "kept", "reason for the rest")
CLOCKS = {"cpu_ms": "CPU time", "wall_ms": "Wall time"}
# Columns that align to the right.
NUMBERS = {*HEADLINE[1:], *LAYERS[1:4], "channels", "prunable"}


def versions():
    """Returns the versions and the machine that a result depends on."""
    return {
        "tfprune": importlib.metadata.version("tfprune"),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
    }


def write(folder, summary, records):
    """Writes `report.json`, `report.md` and `figures/*.png` of a run.

    Each file appears whole or not at all, `report.json` last.

    Args:
        folder: Output folder of the run; its name is the title.
        summary: Dict with `base` and `pruned`, each of `accuracy` (fraction),
            `params`, `macs` and `times`, those of `speed.plain`;
            `verification` of
            `max_abs_difference` and `max_abs_output`; `layers`, a list of
            dicts of `name`, `channels_before`, `channels_after`, `prunable`
            and `reason`; `budget` of `resource`, `dense`, `target` and
            `reached`; `explanation`, the rows of an `Explanation` as
            dicts; `measured_on`, "test" or "validation", the data of
            the accuracies, or None if there are none; `seed`, `seconds`,
            `versions`; and what else is known, like the `command`. None or NaN
            is shown as unknown.
        records: List of dicts with a `step`; `accuracy`, `macs` and `phase`
            are drawn where they exist.

    Raises:
        TypeError: If a value is of no type of JSON.
        OSError: If a file cannot be written.
    """
    folder = pathlib.Path(folder)
    summary, records = map(journal.plain, (summary, records))
    drawings = {
        "run": figures.run(summary, records),
        "channels": figures.channels(summary["layers"]),
    }
    drawings = {name: drawn for name, drawn in drawings.items() if drawn}
    text = _markdown(folder.resolve().name, summary, drawings)
    for name, drawing in drawings.items():
        with files.atomic(folder / "figures" / f"{name}.png") as partial:
            drawing.savefig(partial)
    files.write_text(folder / "report.md", text)
    journal.write(folder / "report.json", summary)


def table(summary):
    """Returns the figures of merit and the layers as a rich renderable.

    Args:
        summary: As for `write`.
    """
    summary = journal.plain(summary)
    return console.Group(
        _rich(HEADLINE, _headline(summary)),
        *map(rich_text.Text, _facts(summary)),
        _rich(LAYERS, _layers(summary["layers"])),
    )


def grid(titles, rows, numbers=NUMBERS):
    """Returns a table in Markdown.

    Args:
        titles: Of the columns.
        rows: Tuples of text, each as long as `titles`.
        numbers: Titles of the columns that align to the right.
    """
    ruler = ("---:" if title in numbers else "---" for title in titles)
    rows = [[text.replace("|", "\\|") for text in row] for row in rows]
    lines = ("| " + " | ".join(row) + " |" for row in (titles, ruler, *rows))
    return "\n".join(lines)


def _headline(summary):
    base, pruned = summary["base"], summary["pruned"]

    def row(title, key, pattern, compare):
        values = base[key], pruned[key]
        return title, *(_text(v, pattern) for v in values), compare(*values)

    data = summary.get("measured_on")
    accuracy = (f"{data} accuracy".capitalize(), "accuracy", "{:.2%}")
    return [
        *([row(*accuracy, _points_apart)] if data else []),
        row("Parameters", "params", "{:,.0f}", _ratio),
        row("Multiply-accumulates per example", "macs", "{:,.0f}", _ratio),
        *_times(base["times"], pruned["times"]),
    ]


def _times(base, pruned):
    """Yields a row for each clock and batch size: medians and quartiles."""
    for clock in ("cpu_ms", "wall_ms"):
        title = f"{CLOCKS[clock]} of a batch of"
        for size in base:
            spreads = [times[size][clock] for times in (base, pruned)]
            ratio = _ratio(*(spread["median"] for spread in spreads))
            yield f"{title} {size}", *map(_spread, spreads), ratio


def _spread(spread):
    return "{median:.2f} ms ({low:.2f} to {high:.2f})".format(**spread)


def _text(value, pattern):
    return "unknown" if value is None else pattern.format(value)


def _points_apart(base, pruned):
    if base is None or pruned is None:
        return "unknown"
    return f"{100 * (pruned - base):+.2f} points"


def _ratio(base, pruned):
    if not base or not pruned:
        return "unknown"
    less, more = base / pruned, pruned / base
    times = f"{less:.2f}x less" if less >= 1 else f"{more:.2f}x more"
    return f"{more:.1%}, {times}"


def _facts(summary):
    """Yields sentences on what was asked for, proved and left out."""
    if "budget" in summary:
        yield _budget(summary["budget"])
    if "verification" in summary:
        yield _proof(summary["verification"])
    names = ", ".join(summary.get("uncounted", ()))
    if names:
        yield f"Multiply-accumulates leave out products of layers: {names}."


def _budget(budget):
    names = {"macs": "multiply-accumulates", "params": "parameters"}
    name = names.get(budget["resource"], budget["resource"])
    target, reached, dense = (
        f"{budget[key]:,.5g}" if name == "latency_ms" else f"{budget[key]:,}"
        for key in ("target", "reached", "dense")
    )
    return f"Budget: {target} of {dense} {name}; reached {reached}."


def _proof(verification):
    difference = _text(verification["max_abs_difference"], "{:.2g}")
    largest = _text(verification["max_abs_output"], "{:.3g}")
    return (
        f"Verified: the masked and the compacted model differ by at most "
        f"{difference}; their largest output is {largest}."
    )


def _layers(layers):
    rows = []
    for layer in layers:
        before, after = layer["channels_before"], layer["channels_after"]
        kept = f"{after / before:.0%}"
        reason = layer["reason"] or ""
        rows.append((layer["name"], f"{before:,}", f"{after:,}", kept, reason))
    return rows


def _channels(rows):
    return [explanation.cells(explanation.Row(**row)) for row in rows]


def _rich(titles, rows):
    grid = rich_table.Table()
    for title in titles:
        grid.add_column(title, justify="right" if title in NUMBERS else "left")
    for row in rows:
        grid.add_row(*map(rich_text.Text, row))
    return grid


def _markdown(title, summary, drawings):
    command = summary.get("command")
    parts = [
        f"# {title}",
        grid(HEADLINE, _headline(summary)),
        *_facts(summary),
        *(f"![{name}](figures/{name}.png)" for name in drawings),
        "## Layers",
        grid(LAYERS, _layers(summary["layers"])),
        "## Channels",
        grid(explanation.TITLES, _channels(summary["explanation"])),
        "## Made by",
        *([f"```sh\n{command}\n```"] if command else []),
        grid(("what", "value"), _origin(summary)),
    ]
    return "\n\n".join(parts) + "\n"


def _origin(summary):
    time = datetime.timedelta(seconds=round(summary["seconds"]))
    made = {"seed": summary["seed"], "time": time, **summary["versions"]}
    return [(name, str(value)) for name, value in made.items()]
