"""How well criteria agree with the exact oracle on a trained model."""

import json
import pathlib

from absl import logging
import keras
import numpy as np

from tfprune import checks
from tfprune import correlation_report
from tfprune import identity
from tfprune import journal
from tfprune import masking
from tfprune import report
from tfprune import runs
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import base as criteria_lib
from tfprune.criteria import correlations
from tfprune.criteria import oracle

TRUTH = "truth"


def correlate(
    model,
    criteria,
    dataset,
    loss_fn,
    output_dir,
    frozen=(),
    batches=None,
    truth=None,
    removed=0.3,
    seed=None,
    config=None,
    command=None,
    on_record=None,
):
    """Measures how several criteria agree with the truth, layer by layer.

    All of them are scored on the same batches, in one pass over each. The same
    call goes on after the last batch that a stopped one has scored, and on a
    finished run returns its rows.

    Args:
        model: A trained `keras.Model`, made under the current strategy; left
            as it is. It may be one that was pruned before.
        criteria: As for `score`.
        dataset: `tf.data.Dataset` of batched data to score on. It must give
            the same batches in every process, as for `prune`.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        output_dir: Folder for `correlation.md`, `correlation.png`,
            `records.jsonl` with the scores of each batch, and `report.json`.
        frozen: Names of layers that stay, as for `trace`. Defaults to none.
        batches: How many batches to score on. Defaults to all.
        truth: The criterion to compare with. Defaults to
            `Oracle(absolute=True)`, the truth of Molchanov et al. (2019,
            arXiv:1906.10771); its square has the same ranks.
        removed: As for `criteria.correlation`. Defaults to 0.3.
        seed: Seed of every random draw from here on, as for
            `keras.utils.set_random_seed`. Defaults to None: not set.
        config: Text that says how the run was set up, as for `one_shot`.
            Defaults to None: that of `identity.describe`.
        command: The command line, for the report. Defaults to None.
        on_record: Function that is called with a record of each batch, of
            `batch` and `scores`, and `(batch, batches)`. Defaults to None.

    Returns:
        A list of rows, as `by_layer` of `criteria.correlations` returns them.

    Raises:
        ValueError: If model, data, settings or folder do not fit. Nothing is
            written unless the dataset turns out to be too short, or a score
            not to be finite.
        OSError: If the folder cannot be written.
    """
    truth = oracle.Oracle(absolute=True) if truth is None else truth
    checks.check_arguments([dataset], loss_fn, output_dir, seed)
    folder = pathlib.Path(output_dir)
    if config is None:
        config = identity.describe(
            model,
            dataset,
            trained=True,
            criteria=criteria,
            loss_fn=loss_fn,
            frozen=frozen,
            batches=batches,
            truth=truth,
            removed=removed,
            seed=seed,
        )
    if runs.is_finished(folder, config):
        logging.warning("Nothing to do: %s holds a finished run.", folder)
        return json.loads((folder / "report.json").read_text())["rows"]
    scored = _with_truth(criteria, truth)
    correlations.check_removed(removed)
    total = _count(dataset, batches)
    checks.check_run(model, (dataset,), loss_fn)
    graph = tracing.trace(model, frozen)
    correlations.layers(graph)
    masked = masking.mask_model(model, graph)
    if seed is not None:
        keras.utils.set_random_seed(seed)
    with runs.claimed(folder, config) as own:
        records = journal.read(folder / "records.jsonl")
        left = dataset.skip(len(records)).take(total - len(records))
        fresh = scoring.each_batch(masked, graph, scored, left, loss_fn)
        _write_down(own, records, fresh, total, on_record)
        means = _means(records, total)
        actual = means.pop(TRUTH)
        summary = {
            "rows": correlations.by_layer(
                means, actual, graph, removed=removed
            ),
            "truth": truth.name,
            "removed": removed,
            "batches": total,
            "seed": seed,
            "command": command,
            "versions": report.versions(),
        }
        correlation_report.write(own, summary)
    return summary["rows"]


def _with_truth(criteria, truth):
    """Returns all that is scored, {name: criterion}."""
    checks.check_kind(criteria_lib.Criterion, truth=truth)
    criteria = criteria_lib.named(criteria)
    if TRUTH in criteria:
        raise ValueError(
            f"`criteria` must not be called {TRUTH!r}, the name of what they "
            f"are compared with. Received: {', '.join(criteria)}."
        )
    return {**criteria, TRUTH: truth}


def _count(dataset, batches):
    """Returns how many batches there are to score on."""
    length = int(dataset.cardinality())
    if batches is None:
        if length < 1:
            raise ValueError(
                "`batches` must be given for a dataset of unknown length, and "
                f"a known length be positive. Received: {batches=}, a dataset "
                f"of cardinality {length}."
            )
        return length
    checks.check_counts(batches=batches)
    if 0 <= length < batches:
        raise ValueError(
            "`batches` must be at most the number of batches in the dataset. "
            f"Received: {batches=}, a dataset of {length}."
        )
    return batches


def _write_down(own, records, fresh, total, on_record):
    """Adds a record of each batch that is scored."""
    for scores in fresh:
        record = {"batch": len(records) + 1, "scores": scores}
        journal.append(own / "records.jsonl", record)
        records.append(journal.plain(record))
        logging.info("Scored batch %d of %d.", len(records), total)
        if on_record is not None:
            on_record(records[-1], (len(records), total))


def _means(records, total):
    """Returns the scores averaged over batches, {name: [num_units]}."""
    if len(records) < total:
        raise ValueError(
            f"`dataset` must hold {total} batches. "
            f"Received: {len(records)} batches."
        )
    return {
        name: np.mean([np.array(r["scores"][name], float) for r in records], 0)
        for name in records[0]["scores"]
    }
