"""The run of a method: checkpoints, resuming, progress, export and report."""

from concurrent import futures
import difflib
import json
import pathlib
import shutil
import time

from absl import logging
import keras
import tensorflow as tf

from tfprune import checks
from tfprune import compaction
from tfprune import costs
from tfprune import exporting
from tfprune import files
from tfprune import program
from tfprune import report
from tfprune import timing
from tfprune import training

CHECKPOINTS = 3


def prune(
    model,
    dataset,
    method,
    *,
    loss_fn,
    output_dir,
    validation_data=None,
    test_data=None,
    seed=None,
    config=None,
    on_record=None,
):
    """Runs a method on a model, and exports and reports what comes out.

    The run is saved after every round: the same call goes on where a killed
    one stood, and on a finished run returns its model. Call it under the scope
    of a `tf.distribute` strategy to use several devices.

    Args:
        model: A built Functional or Sequential `keras.Model`; left as it is.
        dataset: `tf.data.Dataset` of batched `(inputs, labels)` to train on.
            It must give the same batches in every process: seed its shuffles.
        method: A `Method`.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        output_dir: Folder for `1/` (the SavedModel), `model.keras`,
            `report.json`, `report.md`, `figures/`, `records.jsonl`,
            `checkpoints/` and `logs/` (TensorBoard).
        validation_data: Dataset to measure the accuracy on after each pruning
            and at the end. Defaults to None.
        test_data: Dataset for the accuracies of the report, read only once the
            run is done. Defaults to `validation_data`.
        seed: The seed of the run, for the report.
        config: Text that says how the run was set up; a run in the same folder
            with another text is refused. Defaults to None.
        on_record: Function that is called with the record of each round and
            `method.progress`.

    Returns:
        The final `keras.Model`.

    Raises:
        ValueError: If model, data, settings or folder do not fit, before any
            training.
        FloatingPointError: If a loss is not finite; checkpoints stay.
    """
    folder = pathlib.Path(output_dir)
    _claim(folder, config)
    if (folder / "report.json").exists():
        logging.info("Nothing to do: %s holds a finished run.", folder)
        return keras.models.load_model(folder / "model.keras")
    checks.check_batch(model, dataset, loss_fn)
    method.start(model, dataset, loss_fn)
    run = _Run(folder, method)
    while not method.done:
        started = time.monotonic()
        record = method.step()
        record["seconds"] = run.spend(time.monotonic() - started)
        if validation_data is not None and (record["pruned"] or method.done):
            measures = training.evaluate(method.model, validation_data, loss_fn)
            record["validation_loss"] = measures["loss"]
            record["accuracy"] = measures.get("accuracy")
        run.save(record)
        if on_record is not None:
            on_record(record, method.progress)
    if test_data is None:
        test_data = validation_data
    # A strategy's scope holds for one thread: in another, models are made
    # of plain variables, as serving wants them.
    with futures.ThreadPoolExecutor(max_workers=1) as pool:
        end = pool.submit(_finish, run, model, test_data, loss_fn, seed)
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
        self._manager = tf.train.CheckpointManager(
            self._checkpoint,
            str(folder / "checkpoints"),
            max_to_keep=CHECKPOINTS,
        )
        self._restore()

    @property
    def seconds(self):
        """The time that all rounds of the run have taken."""
        return float(self._seconds.numpy())

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

    def _restore(self):
        """Goes back to the newest checkpoint that can be read."""
        for path in reversed(self._manager.checkpoints):
            try:
                self._checkpoint.restore(path).assert_consumed()
            except (tf.errors.OpError, AssertionError, ValueError) as error:
                logging.warning(
                    "Checkpoint %s cannot be read, falling back to the one "
                    "before: %s",
                    path,
                    error,
                )
                continue
            logging.info("Continuing from %s.", path)
            break
        step, _ = self.method.progress
        report.rewind(self.records, step)


def _claim(folder, config):
    """Makes the folder the place of this run, or of none at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.json"
    text = json.dumps({"config": config}, indent=1)
    if not path.exists():
        files.write_text(path, text)
    there = json.loads(path.read_text())["config"]
    if there != config:
        lines = difflib.unified_diff(
            (there or "").splitlines(),
            (config or "").splitlines(),
            "the run in the folder",
            "this run",
            lineterm="",
        )
        raise ValueError(
            f"`output_dir` must hold a run of the same configuration, or none. "
            f"Received: {str(folder)!r}, which differs. Choose another folder, "
            "or delete it.\n" + "\n".join(lines)
        )


def _finish(run, model, test_data, loss_fn, seed):
    """Exports the final model of a run and writes its report; returns it."""
    small = run.method.finish()
    if (run.folder / "1").exists():  # The run was killed after it wrote this.
        shutil.rmtree(run.folder / "1")
    exporting.save_keras(small, run.folder / "model.keras")
    exporting.export(small, run.folder)
    summary = {
        **_compare(program.duplicate(model), small, test_data, loss_fn),
        **run.method.report(small),
        "seed": seed,
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
