"""The table and the drawing of an experiment."""

import numpy as np

from tfprune import curves
from tfprune import figures
from tfprune import files
from tfprune import journal
from tfprune import report


def write(folder, found, base, drop, origin):
    """Writes `report.json`, which ends an experiment.

    Args:
        folder: Output folder.
        found: List of dicts of `curve`, `repetition`, `sparsity` and
            `accuracy`, of each run.
        base: Accuracy of the model as it was.
        drop: Loss of accuracy that the table is of.
        origin: {name: value}, what else the report holds.
    """
    summary = {
        "base": base,
        "drop": drop,
        "crossings": crossings(found, base - drop),
        "runs": found,
        **origin,
        "versions": report.versions(),
    }
    journal.write(folder / "report.json", summary)


def draw(folder, found, base, drop, last):
    """Writes `experiment.md` and `experiment.png`.

    Args:
        folder: Output folder.
        found: As for `write`.
        base: As for `write`.
        drop: As for `write`.
        last: Name of the curve that is drawn black.
    """
    text = markdown(found, base, drop)
    files.write_text(folder / "experiment.md", text)
    with files.atomic(folder / "experiment.png") as partial:
        drawing(found, last, base - drop).savefig(partial)


def crossings(found, level):
    """Returns {curve: sparsity of each repetition at a level, or None}."""
    table = {}
    for run in found:
        table.setdefault(run["curve"], []).append(
            curves.crossing(_curve(run), level)
        )
    return table


def markdown(found, base, drop):
    """Returns the sparsities at a loss of accuracy as a table.

    Args:
        found: As for `write`.
        base: As for `write`.
        drop: As for `write`.
    """
    title = f"removed at -{100 * drop:g} points"
    ends = {}
    for run in found:
        ends.setdefault(run["curve"], []).append(run["sparsity"][-1])
    rows = [
        (name, *_spread(values, ends[name]))
        for name, values in crossings(found, base - drop).items()
    ]
    numbers = (title, "± 2 sigma", "repetitions")
    return (
        f"Test accuracy of the base model: {base:.2%}. Convolution weights "
        "that are removed where it first falls that far below:\n\n"
        f"{report.grid(('pruned by', *numbers), rows, numbers)}\n"
    )


def drawing(found, last, level):
    """Returns a drawing of mean accuracies, with bands of two sigma.

    Args:
        found: As for `write`.
        last: As for `draw`.
        level: Accuracy that the table is of.
    """
    bands = {}
    for run in found:
        bands.setdefault(run["curve"], []).append(_curve(run))
    figure = figures.blank(8, 5)
    axes = figure.subplots()
    for name, each in bands.items():
        band = curves.band(each)
        style = {"color": "black", "zorder": 3} if name == last else {}
        (line,) = axes.plot(band.sparsity, 100 * band.mean, label=name, **style)
        axes.fill_between(
            band.sparsity,
            100 * (band.mean - 2 * band.deviation),
            100 * (band.mean + 2 * band.deviation),
            color=line.get_color(),
            alpha=0.15,
            linewidth=0,
        )
    axes.axhline(100 * level, color=figures.BEFORE, linestyle="--", zorder=0)
    axes.set_title(
        f"Means and two sigma of {max(map(len, bands.values()))} repetitions",
        **figures.TITLE,
    )
    axes.set_xlabel("Convolution weights removed (%)")
    axes.set_ylabel("Test accuracy (%)")
    axes.set_xlim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    return figure


def _curve(run):
    return curves.Curve(np.array(run["sparsity"]), np.array(run["accuracy"]))


def _spread(values, ends):
    """Returns mean, two sigma and number of repetitions as text.

    If some never got there, the mean is that of the others; if none did, it is
    how far all of them went. One alone has no spread.
    """
    known = [value for value in values if value is not None]
    if not known:
        return f"> {min(ends):.1f} %", "", f"0 of {len(values)}"
    mean = f"{np.mean(known):.1f} %"
    deviation = f"{2 * np.std(known):.1f}" if len(known) > 1 else ""
    if len(known) < len(values):
        return mean, deviation, f"{len(known)} of {len(values)}"
    return mean, deviation, str(len(values))
