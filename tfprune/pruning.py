"""The run of a method: checkpoints, resuming, progress, export and report."""

import pathlib

import keras

from tfprune import checks
from tfprune import costs
from tfprune import exporting
from tfprune import hdf5
from tfprune import identity
from tfprune import loops
from tfprune import measures as measures_lib
from tfprune import methods
from tfprune import pretraining as pretraining_lib
from tfprune import rebuilding
from tfprune import report
from tfprune import rounds
from tfprune import runs
from tfprune import serving
from tfprune import speed
from tfprune import stages
from tfprune import tracing


def prune(
    model,
    dataset,
    method,
    *,
    loss_fn,
    output_dir,
    validation_data=None,
    test_data=None,
    validation_freq=10,
    pretraining=None,
    seed=None,
    with_hdf5=False,
    config=None,
    command=None,
    on_record=None,
):
    """Runs a method on a model, and exports and reports what comes out.

    The run is saved after every round: the same call goes on where a killed
    one stood, and on a finished run returns its model. Call it under the scope
    of a `tf.distribute` strategy to use several devices; of several workers
    each makes the same call, and the chief writes the files.

    Args:
        model: A built Functional or Sequential `keras.Model`; left as it is,
            but for its `pretraining`.
        dataset: `tf.data.Dataset` of batched `(inputs, labels)` to train on.
            It must give the same batches in every process: seed its shuffles,
            and do not iterate over it elsewhere, as `validation_data` would.
        method: A `Method`, made for this call with a new optimizer, also where
            the call goes on: it keeps the state of one run.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        output_dir: Folder for `1/` (the SavedModel), `model.keras`,
            `report.json`, `report.md`, `figures/`, `records.jsonl`,
            `checkpoints/` and `logs/` (TensorBoard), and `base/` for those of
            the pretraining. The report's `seconds` are all that the run took,
            pretraining, measures and export included, in all processes that
            worked on it, without what a killed one had not saved.
        validation_data: Dataset to measure the accuracy on after each pruning,
            at the end, and in between. Defaults to None.
        test_data: Dataset for the accuracies of the report, measured only once
            the run is done. Defaults to `validation_data`.
        validation_freq: How many rounds lie between two of those in between.
            Defaults to 10.
        pretraining: A `Pretraining` of the model before all else, which is kept
            in `base.keras`. Defaults to None: the model is trained already.
        seed: Seed of every random draw from here on, as for
            `keras.utils.set_random_seed`. Defaults to None: not set.
        with_hdf5: Whether to write the weights of the pruned model to
            `model.hdf5`, too, as the code of AOFP does: see `hdf5.save`.
            Defaults to False.
        config: Text that says how the run was set up; a run in the same folder
            with another text is refused. Defaults to None: that of
            `identity.describe`, which takes in the model, its weights unless
            there is a `pretraining`, all settings, and of each dataset the
            length and the types and shapes of its elements. It reads no
            example: pass a text of your own to tell data apart.
        command: The command line of the run, for the report. Defaults to None.
        on_record: Function that is called with the record of each round and
            `method.progress`; before, with those of the pretraining. Defaults
            to None.

    Returns:
        The final `keras.Model`.

    Raises:
        ValueError: If model, data, settings or folder do not fit, before any
            training; nothing is written.
        FloatingPointError: If a loss or weight is not finite; checkpoints
            stay.
        OSError: If the folder cannot be written, or no checkpoint in it read.
        VerificationError: If the final model does not compute what the masked
            one does.
        ExportError: If the SavedModel does not compute what its model does.
    """
    checks.check_counts(validation_freq=validation_freq)
    checks.check_kind(methods.Method, method=method)
    if pretraining is not None:
        checks.check_kind(pretraining_lib.Pretraining, pretraining=pretraining)
    measures = measures_lib.Measures(loss_fn, validation_data, test_data)
    checks.check_arguments(
        [dataset, *measures.datasets], loss_fn, output_dir, seed
    )
    folder = pathlib.Path(output_dir)
    if config is None:
        config = identity.describe(
            model,
            dataset,
            trained=pretraining is None,
            method=method,
            pretraining=pretraining,
            loss_fn=loss_fn,
            validation_data=validation_data,
            test_data=test_data,
            seed=seed,
            with_hdf5=with_hdf5,
        )
    if runs.is_finished(folder, config):
        return runs.finished_model(folder)
    checks.check_run(model, [dataset, *measures.datasets], loss_fn)
    exporting.check(model)
    if with_hdf5:
        hdf5.check(model)
    if pretraining is not None:
        pretraining.start(model, dataset, loss_fn)
    method.check(model, dataset, loss_fn)
    with runs.claimed(folder, config) as own:
        clock = rounds.Clock()

        def turn(machine, phase=""):
            return rounds.Rounds(
                machine, own / phase, folder / phase, clock, on_record
            )

        if pretraining is not None:
            epochs = turn(pretraining, "base")
            pretraining.complete(epochs, measures, own / "base.keras")
        dense, left = costs.cost(model).macs, model
        phases = stages.phases(method)
        data = dataset if len(phases) == 1 else loops.Stream(dataset)
        for phase, stage in phases.items():
            if seed is not None:
                keras.utils.set_random_seed(seed)
            stage.start(left, data, loss_fn, original=model)
            rest = turn(stage, phase)
            _prune(phase, stage, rest, dense, measures, validation_freq)
            if stage is not method.stages[-1]:
                left = stage.finish()
        origin = {"seed": seed, "command": command}
        return runs.outside_strategy(
            _finish, phases, model, measures, own, with_hdf5, origin, clock
        )


def _prune(phase, stage, left, dense, measures, validation_freq):
    """Does the rounds of a stage that are left."""
    name = {"stage": phase} if phase else {}
    for number, record in left:
        record = {
            **name,
            "round": number,
            **record,
            "macs_kept": record["macs"] / dense,
        }
        now = record["pruned"] or number % validation_freq == 0
        if now or stage.done:
            record |= measures.validate(stage.model)
        left.save(record)


def _finish(phases, model, measures, folder, with_hdf5, origin, clock):
    """Exports the final model of a run and writes its report; returns it."""
    small = [*phases.values()][-1].finish()
    runs.export(small, folder, with_hdf5)
    records = stages.records(folder, phases)
    summary = {
        **_compare(model, small, measures),
        "measured_on": measures.final_data,
        **stages.report(phases, records),
        "uncounted": tracing.trace(small).uncounted,
        **origin,
        "seconds": clock.seconds,
        "versions": report.versions(),
    }
    report.write(folder, summary, records)
    return small


def _compare(model, small, measures):
    """Returns the figures of merit of the base and of the pruned model."""
    models = {"base": rebuilding.duplicate(model), "pruned": small}
    times = speed.compare({k: serving.served(v) for k, v in models.items()})
    return {
        name: {
            **measures.final(each),
            **costs.cost(each)._asdict(),
            "times": speed.plain(times[name]),
        }
        for name, each in models.items()
    }
