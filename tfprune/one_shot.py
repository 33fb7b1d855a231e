"""Accuracy of a model pruned once, without any training afterwards."""

import itertools
import json
import pathlib

from absl import logging
import keras
import numpy as np

from tfprune import batch_norm
from tfprune import budgets
from tfprune import checks
from tfprune import comparison
from tfprune import evaluation
from tfprune import files
from tfprune import identity
from tfprune import journal
from tfprune import masking
from tfprune import runs
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import base as criteria_lib

AT_ONCE, REESTIMATED = "at once", "BN re-estimated"
BASE = {"part": "", "criterion": "base", "removed": 0.0, "when": AT_ONCE}


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
    seed=None,
    config=None,
    command=None,
    on_record=None,
):
    """Measures what several criteria leave of a model at several budgets.

    Each mask is measured at once, and again after the statistics of all batch
    normalisations were re-estimated on training batches, if there are any. The
    same call goes on where a stopped sweep stood, and on a finished one returns
    its records.

    Args:
        model: A trained `keras.Model`, made under the current strategy; left
            as it is.
        criteria: As for `score`.
        dataset: `tf.data.Dataset` of batched training data to re-estimate on.
            It must give the same batches in every process, as for `prune`.
        test_data: Dataset to measure the accuracy on.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        output_dir: Folder for `one_shot.md`, `one_shot.png`, `records.jsonl`,
            `scores.json` and `report.json`.
        removed: Fractions of the multiply-accumulates to remove.
        frozen: {title of a part of the table: names of layers that stay, as
            for `trace`}. Defaults to one part, in which none do.
        score_data: Batches to score on. Defaults to `dataset`.
        score_batches: How many of them. Defaults to all.
        bn_batches: How many batches to re-estimate on. Defaults to 50.
        seed: Seed of every random draw from here on, as for
            `keras.utils.set_random_seed`. Defaults to None: not set.
        config: Text that says how the sweep was set up; one in the same folder
            with another text is refused. Defaults to None: that of
            `identity.describe`, which takes in the model, its weights, all
            settings, and of each dataset the length and the types and shapes
            of its elements. It reads no example: pass a text of your own to
            tell data apart.
        command: The command line, for the report. Defaults to None.
        on_record: Function that is called with each new record and
            `(records, all)`, how many there are by now and at the end.
            Defaults to None.

    Returns:
        A list of records of `part`, `criterion`, `removed`, `when`, `loss` and
        `accuracy`; the first is that of the model itself.

    Raises:
        ValueError: If model, data, settings or folder do not fit; nothing is
            written unless the length of the training data was unknown.
        OSError: If the folder cannot be written.
    """
    parts = {"all": ()} if frozen is None else frozen
    scored_on = dataset if score_data is None else score_data
    checks.check_arguments(
        [dataset, scored_on, test_data], loss_fn, output_dir, seed
    )
    folder = pathlib.Path(output_dir)
    if config is None:
        config = identity.describe(
            model,
            dataset,
            trained=True,
            criteria=criteria,
            loss_fn=loss_fn,
            removed=removed,
            frozen=frozen,
            score_data=score_data,
            score_batches=score_batches,
            bn_batches=bn_batches,
            test_data=test_data,
            seed=seed,
        )
    if runs.is_finished(folder, config):
        logging.warning("Nothing to do: %s holds a finished run.", folder)
        return journal.read(folder / "records.jsonl")
    criteria = criteria_lib.named(criteria)
    checks.check_run(model, (test_data,), loss_fn)
    _check_removed(model, parts, removed)
    _check_length("bn_batches", bn_batches, dataset)
    if score_batches is not None:
        _check_length("score_batches", score_batches, scored_on)
    base = evaluation.with_accuracy(model, test_data, loss_fn)
    trials = _trials(model, parts, criteria, removed)
    if seed is not None:
        keras.utils.set_random_seed(seed)

    def measured(model):
        return evaluation.with_accuracy(model, test_data, loss_fn)

    def scored(part):
        masked, graph = part.masked, part.graph
        return scoring.score(
            masked, graph, criteria, scored_on, loss_fn, score_batches
        )

    with runs.claimed(folder, config) as own:
        notes = _Notes(folder, own, 1 + len(trials), on_record)
        notes.catch_up(dataset, scored_on)
        if BASE not in notes:
            notes.add(BASE, base)
        for title, names in parts.items():
            part = _Part(model, names)
            if title not in notes.scores:
                notes.add_scores(title, scored(part))
            for what in trials:
                if what["part"] != title or what in notes:
                    continue
                scores = notes.scores[title][what["criterion"]]
                part.prune(scores, what["removed"])
                if what["when"] == REESTIMATED:
                    batch_norm.reestimate(part.masked, dataset, bn_batches)
                notes.add(what, measured(part.masked))
        origin = {"seed": seed, "command": command}
        comparison.write(own, notes.records, origin)
    return notes.records


class _Notes:
    """What is known of a sweep: its records, and the scores of its parts."""

    def __init__(self, folder, own, total, on_record):
        self.records = journal.read(folder / "records.jsonl")
        self.scores = {}  # {title of a part: {criterion: [num_units]}}
        if (folder / "scores.json").exists():
            self.scores = json.loads((folder / "scores.json").read_text())
        self._own = own
        self._total = total
        self._on_record = on_record

    def __contains__(self, what):
        return any(what.items() <= record.items() for record in self.records)

    def catch_up(self, dataset, score_data):
        """Begins the epochs that a sweep which was stopped had begun.

        What a shuffle gives depends on how many began before.
        """
        for _ in self.scores:
            iter(score_data)
        for record in self.records:
            if record["when"] == REESTIMATED:
                iter(dataset)

    def add(self, what, measures):
        """Writes the measures of a mask down."""
        record = {**what, **measures}
        logging.info("%s", record)
        journal.append(self._own / "records.jsonl", record)
        self.records.append(record)
        if self._on_record is not None:
            self._on_record(record, (len(self.records), self._total))

    def add_scores(self, title, scores):
        """Writes the scores of a part down."""
        self.scores[title] = {k: v.tolist() for k, v in scores.items()}
        files.write_text(self._own / "scores.json", json.dumps(self.scores))


class _Part:
    """A copy of a model that is pruned in one way after the other."""

    def __init__(self, model, frozen):
        self.graph = tracing.trace(model, frozen)
        self.masked = masking.mask_model(model, self.graph)
        self._values = [x.numpy() for x in self.masked.variables]

    def prune(self, scores, share):
        """Goes back to the trained model, and masks a share of it."""
        keep = _select(self.graph, scores, share)
        for variable, value in zip(
            self.masked.variables, self._values, strict=True
        ):
            variable.assign(value)
        masking.set_mask(self.masked, self.graph, keep)


def _trials(model, parts, criteria, removed):
    """Returns what each record after the first is of."""
    moments = [AT_ONCE]
    if batch_norm.moving_statistics(model):
        moments.append(REESTIMATED)
    each = itertools.product(parts, criteria, removed, moments)
    names = "part", "criterion", "removed", "when"
    return [dict(zip(names, values)) for values in each]


def _select(graph, scores, share):
    everything = np.ones(graph.num_units, bool)
    budget = budgets.Budget(macs=1 - share, tolerance=1.0)
    return budgets.select(scores, graph, everything, budget)


def _check_removed(model, parts, removed):
    """Raises an error if a part of the model cannot lose that much."""
    if not isinstance(parts, dict) or not parts:
        raise ValueError(
            "`frozen` must be a dict {title: names of layers that stay}. "
            f"Received: frozen={parts!r}."
        )
    if not isinstance(removed, (tuple, list)) or not removed or not all(
        isinstance(share, float) and 0 < share < 1 for share in removed
    ):
        raise ValueError(
            "`removed` must hold fractions in (0, 1). "
            f"Received: removed={removed!r}."
        )
    for names in parts.values():
        graph = tracing.trace(model, names)
        _select(graph, np.zeros(graph.num_units), max(removed))


def _check_length(name, batches, dataset):
    """Raises an error if a dataset is known to hold fewer batches."""
    checks.check_counts(**{name: batches})
    length = int(dataset.cardinality())
    if 0 <= length < batches:
        raise ValueError(
            f"`{name}` must be at most the number of batches in its dataset. "
            f"Received: {name}={batches}, a dataset of {length}."
        )
