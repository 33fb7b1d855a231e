"""Accuracy against sparsity: single criteria beside their composition.

The experiment of Persand, Anderson and Gregg (2020, arXiv:2004.03376), from a
base model to the graphs, in one run that can be stopped at any time.
"""

import itertools
import json
import pathlib

from absl import logging
import keras

from tfprune import checks
from tfprune import costs
from tfprune import evaluation
from tfprune import experiment_report
from tfprune import experiment_run
from tfprune import identity
from tfprune import limits
from tfprune import measures as measures_lib
from tfprune import pretraining as pretraining_lib
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
    min_units=1,
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
        min_units: As for `select`. Defaults to 1.
        frozen: Names of layers whose channels stay, as for `trace`. Name the
            dense ones, where only channels of convolutions are to go.
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
        ValueError: If model, data, settings or folder do not fit; nothing is
            written, unless it is that a model which was trained first is not
            as accurate as `stop_accuracy` and `drop` ask.
        OSError: If the folder cannot be written.
    """
    checks.check_arguments(
        [dataset, evaluation_data, test_data], loss_fn, output_dir, seed
    )
    checks.check_counts(least=0, seed=seed)
    if pretraining is not None:
        checks.check_kind(pretraining_lib.Pretraining, pretraining=pretraining)
    folder = pathlib.Path(output_dir)
    settings = {
        "candidates": candidates,
        "batches": batches,
        "oracle_batches": oracle_batches,
        "round_units": round_units,
        "min_units": min_units,
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
    _check_splits(evaluation_data, test_data)
    checks.check_run(model, [dataset, evaluation_data, test_data], loss_fn)

    def method(curve, repetition=0):
        if curve == COMPOSITION:
            which, kwargs = criteria, settings
        else:
            which = {curve: criteria[curve]}
            kwargs = {**settings, "candidates": 1}
        budget = _least(tracing.trace(model, frozen), min_units)
        return myopic_oracle.MyopicOracle(
            which, budget, evaluation_data, seed=seed + repetition, **kwargs
        )

    names = (*criteria, COMPOSITION)
    for name in names:
        method(name).check(model, dataset, loss_fn)
    base = evaluation.with_accuracy(model, test_data, loss_fn)["accuracy"]
    if pretraining is None:
        _check_base(base, drop, stop_accuracy)
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
            pretraining.complete(left, validation, own / "base.keras")
            base = evaluation.evaluate(model, test_data, loss_fn)["accuracy"]
            _check_base(base, drop, stop_accuracy)
        found, total = [], repetitions * len(names)
        for repetition, name in itertools.product(range(repetitions), names):
            keras.utils.set_random_seed(seed + repetition)
            run = experiment_run.Run(
                own, folder, f"{name}-{repetition + 1}", clock
            )
            run.complete(
                lambda: method(name, repetition),
                (model, dataset, loss_fn, test_data),
                stop_accuracy,
                on_record
                and experiment_run.Progress(on_record, len(found), total),
            )
            curve = {"curve": name, "repetition": repetition + 1}
            found.append({**curve, **run.curve(base)})
            experiment_report.draw(own, found, base, drop, COMPOSITION)
        origin = {"seed": seed, "command": command, "seconds": clock.seconds}
        experiment_report.write(own, found, base, drop, origin)
    return found


def _least(graph, min_units):
    """Returns the `Budget` of a model that can lose no unit more."""
    keep = graph.prunable | True
    least = limits.least(graph, min_units)
    while (free := limits.removable(graph, least, keep)).any():
        keep[free.argmax()] = False
    return Budget(units=max(1, int(keep[graph.prunable].sum())), tolerance=1.0)


def _check_base(base, drop, stop_accuracy):
    if base - drop <= stop_accuracy:
        raise ValueError(
            "`stop_accuracy` must lie more than `drop` below the test accuracy "
            f"of the model. Received: stop_accuracy={stop_accuracy}, "
            f"drop={drop}, accuracy={base:.4f}. Choose a lower one; a model "
            "that was trained first is in `base.keras`."
        )


def _check_splits(evaluation_data, test_data):
    both = (evaluation_data, test_data)
    if evaluation_data is test_data or checks.begin_alike(*both):
        raise ValueError(
            "`test_data` must be another split than `evaluation_data`, which "
            "decides what goes. Received: the same examples for both."
        )


def _check(criteria, repetitions, stop_accuracy, drop, model, frozen):
    checks.check_counts(repetitions=repetitions)
    for name, value in (("stop_accuracy", stop_accuracy), ("drop", drop)):
        if not isinstance(value, float) or not 0 < value < 1:
            raise ValueError(
                f"`{name}` must be a share in (0, 1). Received: {name}={value}."
            )
    if stop_accuracy + drop >= 1:
        raise ValueError(
            "`stop_accuracy` and `drop` must be less than 1 together, for the "
            "model is to be more accurate than both. Received: "
            f"stop_accuracy={stop_accuracy}, drop={drop}."
        )
    if len(criteria) < 2 or COMPOSITION in criteria:
        raise ValueError(
            "`criteria` must be several, to be composed, none of them named "
            f"{COMPOSITION!r}. Received: {', '.join(criteria)}."
        )
    names = (*criteria, COMPOSITION)
    # Some file systems do not tell capitals apart.
    if len({experiment_run.slug(name).lower() for name in names}) < len(names):
        raise ValueError(
            "Names of `criteria` must differ in letters or digits, and from "
            f"{COMPOSITION!r}, for each has a folder. Received: "
            f"{', '.join(criteria)}."
        )
    meter = costs.Meter(tracing.trace(model, frozen))
    everything = meter.groups.widths(tracing.trace(model).prunable | True)
    if not meter.convolutions(everything):
        raise ValueError(
            "The model must have convolutions, whose weights are counted. "
            f"Received: {model.name!r}, which has none."
        )
