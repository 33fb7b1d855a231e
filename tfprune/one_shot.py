"""Accuracy of a model pruned once, without any training afterwards."""

import pathlib

from absl import logging
from matplotlib import figure
from matplotlib import ticker
import numpy as np

from tfprune import batch_norm
from tfprune import budgets
from tfprune import evaluation
from tfprune import files
from tfprune import graph as graph_lib
from tfprune import masking
from tfprune import report
from tfprune import scoring

AT_ONCE, REESTIMATED = "at once", "BN re-estimated"


def one_shot(
    model,
    criteria,
    dataset,
    test_data,
    loss_fn,
    output_dir,
    removed=(0.1, 0.2, 0.3, 0.4, 0.5),
    frozen=None,
    score_data=None,
    score_batches=None,
    bn_batches=50,
):
    """Measures what several criteria leave of a model at several budgets.

    Each mask is measured at once, and again after the statistics of all batch
    normalisations were re-estimated on training batches. Writes
    `records.jsonl`, from which a stopped sweep goes on, `one_shot.md` and
    `one_shot.png`.

    Args:
        model: A trained `keras.Model`.
        criteria: `{name: criterion}`.
        dataset: Training batches, to re-estimate on.
        test_data: Batches to measure the accuracy on.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        output_dir: Folder of the results.
        removed: Fractions of the multiply-accumulates to remove.
        frozen: {title of a part of the table: names of layers that stay, as
            for `trace`}. Defaults to one part, in which none do.
        score_data: Batches to score on. Defaults to `dataset`.
        score_batches: How many of them. Defaults to all.
        bn_batches: How many batches to re-estimate on. Defaults to 50.

    Returns:
        A list of records of `part`, `criterion`, `when`, `removed` and
        `accuracy`.
    """
    folder = pathlib.Path(output_dir)
    records = folder / "records.jsonl"
    done = {_key(record) for record in report.read_records(records)}
    score_data = dataset if score_data is None else score_data

    def note(accuracy, **what):
        if _key(what) not in done:
            report.append_record(records, {**what, "accuracy": accuracy()})
            logging.info("%s", report.read_records(records)[-1])

    def measure(each):
        return evaluation.evaluate(each, test_data, loss_fn)["accuracy"]

    base = {"part": "", "criterion": "base", "when": AT_ONCE, "removed": 0.0}
    note(lambda: measure(model), **base)
    for part, names in (frozen or {"all": ()}).items():
        graph = graph_lib.trace(model, names)
        masked = masking.mask_model(model, graph)
        weights = masked.get_weights()
        scores = _scores(folder, part, lambda: scoring.score(
            masked, graph, criteria, score_data, loss_fn, score_batches
        ))
        everything = np.ones(graph.num_units, bool)
        for criterion in criteria:
            for share in removed:
                budget = budgets.Budget(macs=1 - share)
                keep = budgets.select(
                    scores[criterion], graph, everything, budget
                )
                what = {"part": part, "criterion": criterion, "removed": share}
                masked.set_weights(weights)
                masking.set_mask(masked, graph, keep)
                note(lambda: measure(masked), when=AT_ONCE, **what)
                if _key({**what, "when": REESTIMATED}) not in done:
                    batch_norm.reestimate(masked, dataset, bn_batches)
                note(lambda: measure(masked), when=REESTIMATED, **what)
    rows = report.read_records(records)
    files.write_text(folder / "one_shot.md", _markdown(rows))
    with files.atomic(folder / "one_shot.png") as partial:
        _drawing(rows).savefig(partial, dpi=120)
    return rows


def _scores(folder, part, score):
    path = folder / f"scores {part}.npz"
    if not path.exists():
        scores = score()
        with files.atomic(path) as partial:
            np.savez(partial, **scores)
    return dict(np.load(path))


def _key(record):
    return tuple(record[k] for k in ("part", "criterion", "when", "removed"))


def _table(rows):
    """Returns {(part, when): {criterion: {removed: accuracy}}}."""
    table = {}
    for row in rows:
        if row["criterion"] != "base":
            block = table.setdefault((row["part"], row["when"]), {})
            line = block.setdefault(row["criterion"], {})
            line[row["removed"]] = row["accuracy"]
    return table


def _markdown(rows):
    base = rows[0]["accuracy"]
    text = [f"Test accuracy of the base model: {base:.2%}.\n"]
    for (part, when), block in _table(rows).items():
        shares = list(next(iter(block.values())))
        head = ["MACs removed", *(f"{share:.0%}" for share in shares)]
        text.append(f"\n{part}, {when}:\n")
        text.append("| " + " | ".join(head) + " |")
        text.append("|---" + "|--:" * len(shares) + "|")
        for criterion, line in block.items():
            cells = [criterion, *(f"{100 * line[s]:.1f}" for s in shares)]
            text.append("| " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def _drawing(rows):
    table = _table(rows)
    columns = min(2, len(table))
    lines = -(-len(table) // columns)
    drawing = figure.Figure((5 * columns, 3.4 * lines), layout="constrained")
    grid = drawing.subplots(lines, columns, sharey=True, squeeze=False)
    for axes, ((part, when), block) in zip(grid.flat, table.items()):
        for criterion, line in block.items():
            values = {0.0: rows[0]["accuracy"], **line}
            axes.plot(values.keys(), values.values(), ".-", label=criterion)
        axes.set_title(f"{part}, {when}", loc="left", fontsize=10)
        axes.xaxis.set_major_formatter(ticker.PercentFormatter(1))
        axes.yaxis.set_major_formatter(ticker.PercentFormatter(1))
        axes.grid(alpha=0.3)
    for axes in grid[-1]:
        axes.set_xlabel("multiply-accumulates removed")
    for axes in grid[:, 0]:
        axes.set_ylabel("test accuracy")
    grid[0, 0].legend(fontsize=8)
    return drawing
