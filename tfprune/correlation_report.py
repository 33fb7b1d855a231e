"""What is left to read of how criteria agree with the truth."""

import numpy as np

from tfprune import correlation_figures
from tfprune import files
from tfprune import journal
from tfprune import report

COLUMNS = ("spearman", "kendall", "pearson", "overlap")


def overall(summary):
    """Returns a sentence and a table of the agreement over all units.

    Args:
        summary: Dict of `rows`, as `by_layer` of `criteria.correlations`
            returns them, `truth`, the name of what they are compared with,
            and `removed` and `batches`, as for `correlate`.
    """
    table = _table(summary)
    titles = [name.capitalize() for name in COLUMNS]
    titles.append("Spearman, mean of layers")
    cells = [
        (
            name,
            *(_text(row[None][column]) for column in COLUMNS),
            _text(_mean_of_layers(row)),
        )
        for name, row in table.items()
    ]
    units = next(iter(table.values()))[None]["units"]
    return (
        f"Agreement with {summary['truth']} over {units} units (batches: "
        f"{summary['batches']}); overlap of the {summary['removed']:.0%} that "
        "would be removed:\n\n"
        + report.grid(("criterion", *titles), cells, titles)
    )


def markdown(summary):
    """Returns the agreement over all units and in each layer as two tables.

    Args:
        summary: As for `overall`.
    """
    table = _table(summary)
    columns = next(iter(table.values()))
    cells = [
        (
            "all" if layer is None else layer,
            str(columns[layer]["units"]),
            *(_text(row[layer]["spearman"]) for row in table.values()),
        )
        for layer in columns
    ]
    titles = "units", *table
    layers = report.grid(("layer", *titles), cells, titles)
    return f"{overall(summary)}\n\nSpearman by layer:\n\n{layers}\n"


def write(folder, summary):
    """Writes `correlation.md`, `correlation.png` and, last, `report.json`.

    Args:
        folder: Output folder.
        summary: As for `overall`; it may hold more.

    Raises:
        OSError: If a file cannot be written.
    """
    files.write_text(folder / "correlation.md", markdown(summary))
    values = {
        name: {layer: each["spearman"] for layer, each in row.items()}
        for name, row in _table(summary).items()
    }
    title = f"Spearman correlation with {summary['truth']}"
    with files.atomic(folder / "correlation.png") as partial:
        correlation_figures.heat_map(values, title).savefig(partial)
    journal.write(folder / "report.json", summary)


def _table(summary):
    """Returns {criterion: {layer or None: its row}}, the best one first."""
    table = {}
    for row in summary["rows"]:
        table.setdefault(row["criterion"], {})[row["layer"]] = row

    def rank(item):
        value = item[1][None]["spearman"]
        return float("inf") if value is None else -value

    return dict(sorted(table.items(), key=rank))


def _mean_of_layers(row):
    """Returns the mean of the Spearman that are defined; None without any."""
    values = [
        each["spearman"]
        for layer, each in row.items()
        if layer is not None and each["spearman"] is not None
    ]
    return np.mean(values) if values else None


def _text(value):
    return "–" if value is None else f"{value:z.3f}"
