"""Accuracy against sparsity: single criteria beside their composition.

The experiment of Persand, Anderson and Gregg (2020, arXiv:2004.03376), from a
base model to the graphs, in one run that can be stopped at any time.
"""

import json
import pathlib
import re
import shutil

from absl import logging
import keras

from tfprune import checks
from tfprune import costs
from tfprune import curves
from tfprune import evaluation
from tfprune import experiment_report
from tfprune import exporting
from tfprune import identity
from tfprune import journal
from tfprune import limits
from tfprune import measures as measures_lib
from tfprune import rounds
from tfprune import runs
from tfprune import tracing
from tfprune.budgets import Budget
from tfprune.criteria import base as criteria_lib
from tfprune.methods import myopic_oracle

COMPOSITION = "myopic oracle"


def experiment(
    model,
    criteria,
    dataset,
    evaluation_data,
    test_data,
    loss_fn,
    output_dir,
    repetitions=8,
    candidates=16,
    batches=2,
    oracle_batches=2,
    round_units=1,
    frozen=(),
    stop_accuracy=0.1,
    drop=0.05,
    pretraining=None,
    seed=0,
    config=None,
    command=None,
    on_record=None,
):
    """Prunes a model by each criterion and by all, and draws what is left.

    Each run removes unit after unit, without any training, until the test
    accuracy is down at `stop_accuracy`. That accuracy is drawn and decides
    nothing else. The same call goes on where a stopped one stood.

    Args:
        model: A built `keras.Model`, made under the current strategy; it is
            left as it is, but for its `pretraining`.
        criteria: As for `score`; several.
        dataset: `tf.data.Dataset` of batched training data, for `pretraining`.
        evaluation_data: As for `MyopicOracle`.
        test_data: Dataset to measure the accuracy on.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        output_dir: Folder for `experiment.md`, `experiment.png`,
            `report.json`, `base.keras` and, in `runs/`, the records of each.
        repetitions: How often each is done, with other seeds. Defaults to 8.
        candidates: As for `MyopicOracle`.
        batches: As for `MyopicOracle`.
        oracle_batches: As for `MyopicOracle`.
        round_units: How many units go between two measurements. Defaults to 1.
        frozen: Names of layers whose channels stay, as for `trace`.
        stop_accuracy: Where runs end, a share in (0, 1). Defaults to 0.1.
        drop: Loss of accuracy that the table is of. Defaults to 0.05.
        pretraining: A `Pretraining` of the model before all else. Defaults to
            None: it is trained already.
        seed: Seed of every random draw; each repetition adds its number.
            Defaults to 0.
        config: As for `one_shot`. Defaults to None.
        command: The command line, for the report. Defaults to None.
        on_record: Function that is called with each record and `(runs, all)`,
            how many runs are done, the one at hand by its sparsity. Defaults
            to None.

    Returns:
        A list of dicts of `curve`, `repetition`, `sparsity` and `accuracy`, the
        last two lists that begin with the base.

    Raises:
        ValueError: If model, data, settings or folder do not fit.
        OSError: If the folder cannot be written.
    """
    checks.check_arguments(
        [dataset, evaluation_data, test_data], loss_fn, output_dir, seed
    )
    folder = pathlib.Path(output_dir)
    settings = {
        "candidates": candidates,
        "batches": batches,
        "oracle_batches": oracle_batches,
        "round_units": round_units,
        "frozen": frozen,
    }
    if config is None:
        config = identity.describe(
            model,
            dataset,
            trained=pretraining is None,
            criteria=criteria,
            evaluation_data=evaluation_data,
            test_data=test_data,
            loss_fn=loss_fn,
            repetitions=repetitions,
            stop_accuracy=stop_accuracy,
            drop=drop,
            pretraining=pretraining,
            seed=seed,
            **settings,
        )
    if runs.is_finished(folder, config):
        logging.warning("Nothing to do: %s holds a finished run.", folder)
        return json.loads((folder / "report.json").read_text())["runs"]
    criteria = criteria_lib.named(criteria)
    _check(criteria, repetitions, stop_accuracy, drop, model, frozen)
    checks.check_run(model, [dataset, evaluation_data, test_data], loss_fn)
    plan = [
        (name, {name: criterion}, {**settings, "candidates": 1})
        for name, criterion in criteria.items()
    ] + [(COMPOSITION, criteria, settings)]

    def method(which, repetition, kwargs):
        budget = _least(tracing.trace(model, frozen))
        return myopic_oracle.MyopicOracle(
            which, budget, evaluation_data, seed=seed + repetition, **kwargs
        )

    for _, which, kwargs in plan:
        method(which, 0, kwargs).check(model, dataset, loss_fn)
    keras.utils.set_random_seed(seed)
    if pretraining is not None:
        pretraining.start(model, dataset, loss_fn)
    with runs.claimed(folder, config) as own:
        clock = rounds.Clock()
        if pretraining is not None:
            left = rounds.Rounds(
                pretraining, own / "base", folder / "base", clock, on_record
            )
            validation = measures_lib.Measures(loss_fn, evaluation_data)
            pretraining.complete(left, validation)
            if not (own / "base.keras").exists():
                exporting.save_keras(model, own / "base.keras")
        base = _accuracy(model, test_data, loss_fn)
        if base - drop <= stop_accuracy:
            raise ValueError(
                "`stop_accuracy` must lie more than `drop` below the test "
                f"accuracy of the model. Received: stop_accuracy="
                f"{stop_accuracy}, drop={drop}, accuracy={base:.4f}."
            )
        found, total = [], repetitions * len(plan)
        for repetition in range(repetitions):
            for name, which, kwargs in plan:
                run = _Run(own, folder, f"{name}-{repetition + 1}", clock)
                keras.utils.set_random_seed(seed + repetition)
                run.complete(
                    lambda: method(which, repetition, kwargs),
                    (model, dataset, loss_fn, test_data),
                    stop_accuracy,
                    on_record and _Progress(on_record, len(found), total),
                )
                curve = {"curve": name, "repetition": repetition + 1}
                found.append({**curve, **run.curve(base)})
            experiment_report.draw(own, found, base, drop, COMPOSITION)
        origin = {"seed": seed, "command": command, "seconds": clock.seconds}
        experiment_report.write(own, found, base, drop, origin)
    return found


class _Run:
    """One run of an experiment, in a folder of its own."""

    def __init__(self, own, folder, name, clock):
        path = pathlib.PurePath("runs", re.sub(r"\W+", "-", name))
        self._name = name
        self._own = own / path
        self._folder = folder / path
        self._clock = clock

    def complete(self, make, what, stop_accuracy, on_record):
        """Does what is left of the run."""
        records = journal.read(self._folder / rounds.RECORDS)
        if records and records[-1]["last"]:
            return
        model, dataset, loss_fn, test_data = what
        method = make()
        method.start(model, dataset, loss_fn)
        meter = costs.Meter(method.graph)
        measure = evaluation.evaluator(method.model, test_data, loss_fn)
        everything = meter.groups.widths(method.graph.prunable | True)
        whole = float(meter.convolutions(everything))
        left = rounds.Rounds(
            method, self._own, self._folder, self._clock, on_record
        )
        for number, record in left:
            widths = meter.groups.widths(method.keep)
            weights = float(meter.convolutions(widths))
            accuracy = measure()["accuracy"]
            last = method.done or accuracy <= stop_accuracy
            figures = {
                "run": self._name,
                "convolution_weights": int(weights),
                "sparsity": 100 * (1 - weights / whole),
                "accuracy": accuracy,
                "last": bool(last),
            }
            left.save({**record, "measurement": number, **figures})
            if last:
                break
        shutil.rmtree(self._own / "checkpoints", ignore_errors=True)

    def curve(self, base):
        """Returns `sparsity` and `accuracy` of the run, two lists."""
        records = journal.read(self._folder / rounds.RECORDS)
        return {
            "sparsity": [0.0, *(record["sparsity"] for record in records)],
            "accuracy": [base, *(record["accuracy"] for record in records)],
        }


class _Progress:
    """Tells how many runs are done, the one at hand by its sparsity."""

    def __init__(self, on_record, done, total):
        self._on_record = on_record
        self._done = done
        self._total = total

    def __call__(self, record, progress):
        share = 1.0 if record["last"] else record["sparsity"] / 100
        self._on_record(record, (round(self._done + share, 2), self._total))


def _least(graph):
    """Returns the `Budget` of a model that can lose no unit more."""
    keep = graph.prunable | True
    least = limits.least(graph, 1)
    while (free := limits.removable(graph, least, keep)).any():
        keep[free.argmax()] = False
    return Budget(units=max(1, int(keep[graph.prunable].sum())), tolerance=1.0)


def _accuracy(model, test_data, loss_fn):
    measured = evaluation.evaluate(model, test_data, loss_fn)
    if "accuracy" not in measured:
        raise ValueError(
            "The model must have one output, with a score for each class, and "
            "all labels of `test_data` must be classes. "
            f"Received: {model.name!r}, which has no accuracy on them."
        )
    return measured["accuracy"]


def _check(criteria, repetitions, stop_accuracy, drop, model, frozen):
    checks.check_counts(repetitions=repetitions)
    for name, value in (("stop_accuracy", stop_accuracy), ("drop", drop)):
        if type(value) is not float or not 0 < value < 1:
            raise ValueError(
                f"`{name}` must be a share in (0, 1). Received: {name}={value}."
            )
    if len(criteria) < 2 or COMPOSITION in criteria:
        raise ValueError(
            "`criteria` must be several, to be composed, none of them named "
            f"{COMPOSITION!r}. Received: {', '.join(criteria)}."
        )
    meter = costs.Meter(tracing.trace(model, frozen))
    everything = meter.groups.widths(tracing.trace(model).prunable | True)
    if not meter.convolutions(everything):
        raise ValueError(
            "The model must have convolutions, whose weights are counted. "
            f"Received: {model.name!r}, which has none."
        )
