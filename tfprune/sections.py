"""The tables of a report, as text: their titles and rows."""

from typing import NamedTuple

from tfprune import explanation

CLOCKS = {"cpu_ms": "CPU time", "wall_ms": "Wall time"}


class Section(NamedTuple):
    """A table of a report."""

    name: str
    titles: tuple  # of the columns
    rows: list  # of tuples of text
    numbers: tuple = ()  # titles of the columns that align to the right


def headline(summary):
    """Returns the figures of merit, before and after."""
    titles = ("measure", "base", "pruned", "pruned / base")
    return Section("Figures", titles, _headline(summary), titles[1:])


def stages(summary):
    """Returns what each of several stages ended with."""
    titles = ("stage", "steps", "accuracy", "parameters", "MACs")
    patterns = ("{:,}", "{:.2%}", "{:,}", "{:,}")
    keys = ("steps", "accuracy", "params", "macs")
    rows = [
        (row["stage"], *(text(row[k], p) for k, p in zip(keys, patterns)))
        for row in summary["stages"]
    ]
    return Section("Stages", titles, rows, titles[1:])


def layers(summary):
    """Returns the widths of all layers with a kernel, before and after."""
    titles = ("layer", "before", "after", "kept", "reason for the rest")
    rows = []
    for layer in summary["layers"]:
        before, after = layer["channels_before"], layer["channels_after"]
        kept = f"{after / before:.0%}"
        reason = layer["reason"] or ""
        rows.append((layer["name"], f"{before:,}", f"{after:,}", kept, reason))
    return Section("Layers", titles, rows, titles[1:4])


def search(summary):
    """Returns what a search found, layer by layer."""
    titles = (
        "layer",
        "filters",
        "left",
        "halves",
        "moves (step: filters)",
        "damage of its filters: median",
        "least to most",
    )
    rows = [_searched(row) for row in summary["search"]]
    return Section("Search", titles, rows, (*titles[1:4], *titles[5:]))


def channels(summary):
    """Returns the group, or the reason, of all channels."""
    rows = [
        explanation.cells(explanation.Row(**row))
        for row in summary["explanation"]
    ]
    titles = explanation.TITLES
    return Section("Channels", titles, rows, titles[2:4])


def text(value, pattern):
    """Returns a value by a pattern; "unknown" for None."""
    return "unknown" if value is None else pattern.format(value)


def _headline(summary):
    base, pruned = summary["base"], summary["pruned"]

    def row(title, key, pattern, compare):
        values = base[key], pruned[key]
        return title, *(text(v, pattern) for v in values), compare(*values)

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


def _searched(row):
    moves = ", ".join(f"{step}: {filters}" for step, filters in row["moves"])
    least, _, median, _, most = row["damage"] or [None] * 5
    span = f"{text(least, '{:.2g}')} to {text(most, '{:.2g}')}"
    counts = (str(row[key]) for key in ("before", "after", "halves"))
    return row["layer"], *counts, moves, text(median, "{:.2g}"), span
