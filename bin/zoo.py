"""Prunes all models of keras.applications and writes a table of them.

    python bin/zoo.py

Each model, with random weights and logits as its output, is traced, masked,
scored, and compacted with 75, 50 and 25 % of its prunable units. The smaller
models must compute what the masked ones do; the one of 50 % also after it was
saved and exported. Half of the units, weights or multiply-accumulates, with all
layers in one ranking, must be left within 1 %. A small model of each family is
scored by Taylor importance, the others by the norms of their weights. An error
ends the command.
"""

from concurrent import futures
import json
import multiprocessing
import pathlib
import tempfile
import time
from typing import NamedTuple

from absl import app
from absl import flags
from absl import logging
import keras
import numpy as np
from rich import console
from rich import live
from rich import table
import specimens
import tensorflow as tf

from tfprune import budgets
from tfprune import compaction
from tfprune import costs
from tfprune import exporting
from tfprune import files
from tfprune import journal
from tfprune import losses
from tfprune import masking
from tfprune import rankings
from tfprune import report
from tfprune import scoring
from tfprune import tracing
from tfprune import verification
from tfprune.criteria import taylor
from tfprune.criteria import weight_norm

MODELS = flags.DEFINE_list(
    "models",
    None,
    "Names such as ResNet50,VGG16, whose rows are renewed; all by default.",
)
SIZE = flags.DEFINE_integer(
    "size", 80, "Height and width of the images.", lower_bound=32
)
DOCS_DIR = flags.DEFINE_string(
    "docs_dir", "docs", "Where zoo.md and zoo.json go."
)

SHARES = (0.75, 0.25, 0.5)  # of the prunable units; the last one is shown
TITLES = (
    "model",
    "input",
    "units",
    "prunable",
    "of the inner",
    "params",
    "params at 50 %",
    "MACs",
    "MACs at 50 %",
    "difference",
    "CPU s",
)
NOTE = """\
"Of the inner" leaves out the units of inputs and outputs, which are never
prunable; the others that are not, in ConvNeXt, are the channels between its
blocks, which a LayerNormalization reads. "Difference" is the largest between a
masked and its compacted model, as a share of the largest output: at most 1e-4
passes."""


class Examined(NamedTuple):
    """What was measured of one model."""

    name: str
    size: int  # height and width of an image
    units: int
    prunable: float  # share of all units
    inner: float  # share of the units that are neither input nor output
    params: int
    small_params: int  # with half of the prunable units
    macs: int
    small_macs: int
    difference: float  # largest, as a share of the largest output
    seconds: float  # CPU time

    def cells(self):
        """Returns the cells of its row in the table."""
        return (
            self.name,
            f"{self.size} x {self.size}",
            f"{self.units:,}",
            f"{self.prunable:.1%}",
            f"{self.inner:.1%}",
            f"{self.params:,}",
            f"{self.small_params:,}",
            f"{self.macs / 1e6:,.0f} M",
            f"{self.small_macs / 1e6:,.0f} M",
            f"{self.difference:.1e}",
            f"{self.seconds:.0f}",
        )


def workers():
    """Returns an executor of one process at a time, each for five models.

    TensorFlow keeps some of the memory of each.
    """
    return futures.ProcessPoolExecutor(
        max_workers=1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare,
        max_tasks_per_child=5,
    )


def _prepare():
    logging.set_verbosity(logging.ERROR)
    # Each function of a proof runs once: it is not worth to optimise it.
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": True}
    )


def examine(name, size, shares=SHARES):
    """Returns the `Examined` of a model that went through all of tfprune.

    Args:
        name: One of `specimens.constructors`.
        size: Height and width of the images.
        shares: Of the prunable units that are kept; the last is shown.

    Raises:
        VerificationError: If a model does not compute what it must.
        ExportError: The same for the exported one.
        RuntimeError: If a cost is not that of the small model, or a budget is
            not met.
    """
    start = time.process_time()
    keras.backend.clear_session()
    model = specimens.build(name, input_shape=(size, size, 3))
    images = verification.random_inputs(model)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    proof = verification.Proof(masked, images)
    proof.verify_copy(model)
    criteria = [weight_norm.WeightNorm()]
    if name in specimens.FAMILIES:
        criteria.append(taylor.TaylorFO())
    scores = score(masked, graph, images, criteria)
    meter = costs.Meter(graph)
    _check_budgets(scores, graph, meter)
    differences = []
    for share in shares:
        keep = select(scores, graph, units=share)
        masking.set_mask(masked, graph, keep)
        small, figures = compaction.proven(proof)
        _check_cost(small, meter(keep))
        differences.append(_relative(**figures))
    _save_and_export(small, proof)
    dense, left = meter(np.ones(graph.num_units, bool)), meter(keep)
    return Examined(
        name=name,
        size=size,
        units=graph.num_units,
        prunable=float(graph.prunable.mean()),
        inner=specimens.prunable_inside(graph),
        params=dense.params,
        small_params=left.params,
        macs=dense.macs,
        small_macs=left.macs,
        difference=max(differences),
        seconds=time.process_time() - start,
    )


def score(masked, graph, images, criteria):
    """Returns the scores by the last of some criteria; all must be finite."""
    scores = scoring.score(
        masked, graph, criteria, _dataset(images), losses.CrossEntropy()
    )
    return scores[criteria[-1].name]


def select(scores, graph, ranking=rankings.uniform_ranking, **budget):
    """Returns what stays within a budget, by default the same share of all."""
    every = np.ones(graph.num_units, bool)
    budget = budgets.Budget(**budget)
    return budgets.select(scores, graph, every, budget, ranking=ranking)


def _dataset(images):
    labels = np.arange(len(images))
    return tf.data.Dataset.from_tensors((images, labels))


def _relative(max_abs_difference, max_abs_output):
    return max_abs_difference / max_abs_output


def _check_budgets(scores, graph, meter):
    """Raises an error if half of a resource is not met within 1 %."""

    def amounts(keep):
        units = (keep & graph.prunable).sum()
        return {"units": units, **meter(keep)._asdict()}

    for name, dense in amounts(np.ones(graph.num_units, bool)).items():
        keep = select(scores, graph, rankings.global_ranking, **{name: 0.5})
        left = amounts(keep)[name]
        if not 0.99 * (dense // 2) <= left <= dense // 2:
            raise RuntimeError(
                "A budget must be met within 1 %. "
                f"Received: {left} of {dense} {name}."
            )


def _check_cost(small, cost):
    counted = costs.cost(small)
    if not counted == cost or small.count_params() != cost.params:
        raise RuntimeError(
            "The cost at a mask must be that of the compacted model. "
            f"Received: {cost} for {counted}, {small.count_params()} weights."
        )


def _save_and_export(small, proof):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.keras")
        exporting.save_keras(small, path)
        proof.verify(keras.models.load_model(path))
        exporting.export(small, folder)


def _read():
    """Returns {name: `Examined`} of the runs before."""
    path = pathlib.Path(DOCS_DIR.value, "zoo.json")
    rows = json.loads(path.read_text()) if path.exists() else []
    return {row["name"]: Examined(**row) for row in rows}


def _write(rows):
    rows = [row for _, row in sorted(rows.items())]
    folder = pathlib.Path(DOCS_DIR.value)
    files.write_text(folder / "zoo.md", _markdown(rows))
    journal.write(folder / "zoo.json", [row._asdict() for row in rows])


def _markdown(rows):
    seconds = sum(row.seconds for row in rows)
    parts = (
        "# The models of keras.applications",
        __doc__.split("\n\n")[-1].strip(),
        NOTE,
        report.grid(TITLES, [row.cells() for row in rows], TITLES[2:]),
        f"{len(rows)} models in {seconds / 60:.0f} minutes of CPU time; by",
        "```sh\npython bin/zoo.py\n```\n",
    )
    return "\n\n".join(parts)


def _checked(names):
    unknown = set(names or ()) - specimens.constructors().keys()
    if unknown:
        raise app.UsageError(
            f"--models must be of {', '.join(specimens.constructors())}. "
            f"Received: {', '.join(sorted(unknown))}."
        )
    return names


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Every argument is a flag. Received: {argv[1:]}.")
    names = _checked(MODELS.value) or specimens.constructors()
    grid = table.Table(*TITLES)
    rows = _read() if MODELS.value else {}
    screen = console.Console(width=140)
    view = live.Live(grid, console=screen, auto_refresh=False)
    with view, workers() as executor:
        for name in names:
            rows[name] = executor.submit(examine, name, SIZE.value).result()
            _write(rows)
            grid.add_row(*rows[name].cells())
            view.refresh()


if __name__ == "__main__":
    app.run(main)
