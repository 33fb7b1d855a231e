"""Tells what may be pruned in a model, and why the rest may not.

    python bin/explain.py model.keras
    python bin/explain.py MobileNetV3Small --markdown=mobilenet.md

A model is a `.keras` file, or the name of a function of `tfprune.models` or
`keras.applications`, which is then made with random weights.
"""

import collections
import pathlib

from absl import app
from absl import flags
import command
import keras
from rich import console

from tfprune import explanation
from tfprune import figures
from tfprune import files
from tfprune import models
from tfprune import report
from tfprune import tracing

MARKDOWN = flags.DEFINE_string(
    "markdown", None, "File to write the table to, too."
)
FIGURE = flags.DEFINE_string(
    "figure", None, "PNG file to draw the groups of channels to."
)


def main(argv):
    _, *paths = argv
    if len(paths) != 1:
        raise app.UsageError(f"Name one model. Received: {paths}.")
    graph = tracing.trace(load(paths[0]))
    rows = graph.explain()
    console.Console().print(rows, totals(graph))
    if MARKDOWN.value:
        files.write_text(MARKDOWN.value, markdown(paths[0], rows, graph))
    if FIGURE.value:
        with files.atomic(FIGURE.value) as partial:
            figures.groups(rows, graph.edges).savefig(partial)


def load(path):
    """Returns the model of a path or a name.

    Raises:
        app.UsageError: If there is none.
    """
    if pathlib.Path(path).is_file():
        return keras.saving.load_model(path, compile=False)
    for place in (models, keras.applications):
        if callable(getattr(place, path, None)):
            return getattr(place, path)(weights=None)
    raise app.UsageError(
        "A model is a `.keras` file, or the name of a function of "
        f"tfprune.models or keras.applications. Received: {path!r}."
    )


def totals(graph):
    """Returns how many units may go, and why the others stay, as a line."""
    reasons = collections.Counter(filter(None, graph.reasons))
    parts = [f"{number:,} {reason}" for reason, number in reasons.items()]
    rest = f"; the rest: {', '.join(parts)}" if parts else ""
    prunable = int(graph.prunable.sum())
    share = prunable / graph.num_units
    return f"{prunable:,} of {graph.num_units:,} units ({share:.1%}){rest}."


def markdown(name, rows, graph):
    """Returns the explanation of a model as Markdown."""
    table = report.grid(
        explanation.TITLES,
        [explanation.cells(row) for row in rows],
    )
    title = pathlib.Path(name).stem
    made = f"Made by `python bin/explain.py {name}`."
    return f"# {title}\n\n{made}\n\nPrunable: {totals(graph)}\n\n{table}\n"


if __name__ == "__main__":
    command.run(main)
