"""The run of a method: checkpoints, resuming, progress, export and report."""

from concurrent import futures
import itertools
import pathlib
import time

from absl import logging
import keras
import tensorflow as tf

from tfprune import checks
from tfprune import compaction
from tfprune import costs
from tfprune import identity
from tfprune import program
from tfprune import report
from tfprune import runs
from tfprune import timing
from tfprune import training

CHECKPOINTS = 3  # How many are kept.


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
        method: A `Method`.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        output_dir: Folder for `1/` (the SavedModel), `model.keras`,
            `report.json`, `report.md`, `figures/`, `records.jsonl`,
            `checkpoints/` and `logs/` (TensorBoard).
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
        config: Text that says how the run was set up; a run in the same folder
            with another text is refused. Defaults to None: that of
            `identity.describe`, of all that the run depends on. The weights of
            the model count unless there is a `pretraining`.
        command: The command line of the run, for the report. Defaults to None.
        on_record: Function that is called with the record of each round and
            `method.progress`; before, with those of the pretraining. Defaults
            to None.

    Returns:
        The final `keras.Model`.

    Raises:
        ValueError: If model, data, settings or folder do not fit, before any
            training; nothing is written.
        FloatingPointError: If a loss is not finite; checkpoints stay.
        OSError: If the folder cannot be written, or no checkpoint in it read.
    """
    if not isinstance(validation_freq, int) or validation_freq < 1:
        raise ValueError(
            "`validation_freq` must be an int of at least 1. "
            f"Received: {validation_freq!r}."
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
            seed=seed,
        )
    if runs.is_finished(folder, config):
        logging.info("Nothing to do: %s holds a finished run.", folder)
        return keras.models.load_model(folder / "model.keras")
    if test_data is None:
        test_data = validation_data
    checks.check_run(model, (dataset, validation_data, test_data), loss_fn)
    method.check(model)
    if pretraining is not None:
        base = runs.claim_base(folder, config)
        pretraining.train_once(
            model, dataset, loss_fn, base, validation_data, on_record
        )
    if seed is not None:
        keras.utils.set_random_seed(seed)
    method.start(model, dataset, loss_fn)
    with runs.claimed(folder, config) as own:
        run = _Run(own, method)
        run.restore(folder / "checkpoints")
        dense = costs.cost(model).macs
        for record in _rounds(run):
            record["macs_kept"] = record["macs"] / dense
            now = record["pruned"] or record["round"] % validation_freq == 0
            if validation_data is not None and (now or method.done):
                measures = training.evaluate(
                    method.model, validation_data, loss_fn
                )
                record["validation_loss"] = measures["loss"]
                record["accuracy"] = measures.get("accuracy")
            run.save(record)
            if on_record is not None:
                on_record(record, method.progress)
        # A strategy's scope holds for one thread: in another, models are made
        # of plain variables, as serving wants them.
        origin = {"seed": seed, "command": command}
        with futures.ThreadPoolExecutor(max_workers=1) as pool:
            end = pool.submit(_finish, run, model, test_data, loss_fn, origin)
            return end.result()


class _Run:
    """The checkpoints and records of a run."""

    def __init__(self, folder, method):
        self.folder = folder
        self.method = method
        self.records = folder / "records.jsonl"
        self._writer = tf.summary.create_file_writer(str(folder / "logs"))
        self._seconds = tf.Variable(0.0, dtype=tf.float64)
        self._checkpoint = tf.train.Checkpoint(
            seconds=self._seconds, **method.state
        )
        _drop_damaged_list(folder / "checkpoints")
        self._manager = tf.train.CheckpointManager(
            self._checkpoint,
            str(folder / "checkpoints"),
            max_to_keep=CHECKPOINTS,
        )

    @property
    def seconds(self):
        """The time that all rounds of the run have taken."""
        return float(self._seconds.numpy())

    def restore(self, checkpoints):
        """Goes back to the newest checkpoint in a folder, if there is any."""
        paths = _saved(checkpoints)
        if paths:
            self._read_newest(paths)
        step, _ = self.method.progress
        report.rewind(self.records, step)

    def spend(self, seconds):
        """Adds the time of a round; returns that of all."""
        self._seconds.assign_add(seconds)
        return self.seconds

    def save(self, record):
        """Writes the record of a round and a checkpoint."""
        logging.info("%s", record)
        report.append_record(self.records, record)
        report.log_scalars(self._writer, record)
        self._manager.save(checkpoint_number=record["step"])

    def _read_newest(self, paths):
        """Reads the first checkpoint of a list that can be read."""
        for path in paths:
            try:
                self._checkpoint.restore(path).assert_consumed()
            except (tf.errors.OpError, IndexError) as error:
                logging.warning(
                    "Checkpoint %s cannot be read, falling back to the one "
                    "before: %s",
                    path,
                    error,
                )
            except (AssertionError, ValueError) as error:
                raise ValueError(
                    "The model and the method must be those of the run in the "
                    f"folder. Received: others than those of {path}. Choose "
                    "another folder, or delete it."
                ) from error
            else:
                logging.info("Continuing from %s.", path)
                return
        raise OSError(
            "A run goes on from a checkpoint that can be read. Received: "
            f"{paths}, of which none can be. Delete the folder of the run to "
            "start anew."
        )


def _drop_damaged_list(folder):
    """Removes the list of checkpoints in a folder if it cannot be read."""
    try:
        tf.train.get_checkpoint_state(str(folder))
    except ValueError as error:
        logging.warning("Dropping the list of checkpoints: %s", error)
        (folder / "checkpoint").unlink()


def _saved(folder):
    """Returns the checkpoints that lie in a folder, newest first.

    TensorFlow's list of them may be damaged, or older than they are.
    """
    numbers = (
        int(path.stem.removeprefix("ckpt-"))
        for path in folder.glob("ckpt-*.index")
    )
    return [str(folder / f"ckpt-{n}") for n in sorted(numbers, reverse=True)]


def _rounds(run):
    """Does all rounds that are left; yields the record of each."""
    done = len(report.read_records(run.records))
    for number in itertools.count(done + 1):
        if run.method.done:
            return
        started = time.monotonic()
        record = {"round": number, **run.method.step()}
        record["seconds"] = run.spend(time.monotonic() - started)
        yield record


def _finish(run, model, test_data, loss_fn, origin):
    """Exports the final model of a run and writes its report; returns it."""
    small = run.method.finish()
    runs.export(small, run.folder)
    summary = {
        **_compare(program.duplicate(model), small, test_data, loss_fn),
        **run.method.report(small),
        **origin,
        "seconds": run.seconds,
        "versions": report.versions(),
    }
    report.write(run.folder, summary, report.read_records(run.records))
    return small


def _compare(model, small, test_data, loss_fn):
    """Returns the figures of merit of the base and of the pruned model."""
    inputs = compaction.random_inputs(model, batch_size=1)
    inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    models = {"base": model, "pruned": small}
    calls = {name: tf.function(m) for name, m in models.items()}
    times = timing.cpu_ms(
        {
            name: lambda call=call: call(inputs, training=False)
            for name, call in calls.items()
        }
    )
    figures = {}
    for name, each in models.items():
        measures = (
            {}
            if test_data is None
            else training.evaluate(each, test_data, loss_fn)
        )
        figures[name] = {
            "accuracy": measures.get("accuracy"),
            "loss": measures.get("loss"),
            **costs.cost(each)._asdict(),
            "cpu_ms": times[name].median,
        }
    return figures
