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

from tfprune import figures
from tfprune import files
from tfprune import journal
from tfprune import search_figures
from tfprune import sections


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
            dicts; those of `stages`, each with its name as `stage`, `steps`
            and, at its end, `accuracy`, `params` and `macs`, if there are
            several; `search` as of `Method.report`, if there is one;
            `measured_on`, "test" or "validation", the data of
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
        "widths": search_figures.widths(summary, records),
        "damage": search_figures.damage(summary),
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
        _rich(sections.headline(summary)),
        *map(rich_text.Text, _facts(summary)),
        *map(_rich, _sections(summary)),
    )


def grid(titles, rows, numbers=()):
    """Returns a table in Markdown.

    Args:
        titles: Of the columns.
        rows: Tuples of text, each as long as `titles`.
        numbers: Titles of the columns that align to the right. Defaults to
            none.
    """
    ruler = ("---:" if title in numbers else "---" for title in titles)
    head, *rows = (
        [text.replace("|", "\\|") for text in row] for row in (titles, *rows)
    )
    lines = ("| " + " | ".join(row) + " |" for row in (head, ruler, *rows))
    return "\n".join(lines)


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
    difference = sections.text(verification["max_abs_difference"], "{:.2g}")
    largest = sections.text(verification["max_abs_output"], "{:.3g}")
    return (
        f"Verified: the masked and the compacted model differ by at most "
        f"{difference}; their largest output is {largest}."
    )


def _sections(summary):
    """Returns the `Section`s on what became of the model, those there are."""
    parts = {
        "stages": sections.stages,
        "layers": sections.layers,
        "search": sections.search,
    }
    return [make(summary) for name, make in parts.items() if name in summary]


def _rich(section):
    grid = rich_table.Table()
    first, *_ = section.titles
    for title in section.titles:
        right = title in section.numbers
        grid.add_column(
            title,
            justify="right" if right else "left",
            no_wrap=title == first,  # Else names of layers are cut off.
        )
    for row in section.rows:
        grid.add_row(*map(rich_text.Text, row))
    return grid


def _markdown(title, summary, drawings):
    command = summary.get("command")
    parts = [
        f"# {title}",
        grid(*sections.headline(summary)[1:]),
        *_facts(summary),
        *(f"![{name}](figures/{name}.png)" for name in drawings),
        *(
            f"## {section.name}\n\n{grid(*section[1:])}"
            for section in (*_sections(summary), sections.channels(summary))
        ),
        "## Made by",
        *([f"```sh\n{command}\n```"] if command else []),
        grid(("what", "value"), _origin(summary)),
    ]
    return "\n\n".join(parts) + "\n"


def _origin(summary):
    time = datetime.timedelta(seconds=round(summary["seconds"]))
    made = {"seed": summary["seed"], "time": time, **summary["versions"]}
    return [(name, str(value)) for name, value in made.items()]
