"""Base models: how they are trained, and a run that does so."""

from concurrent import futures
import json
import pathlib
import time

from absl import logging
import keras

from tfprune import checks
from tfprune import costs
from tfprune import exporting
from tfprune import files
from tfprune import identity
from tfprune import program
from tfprune import report
from tfprune import runs
from tfprune import training


class Pretraining:
    """The training of a base model.

    Args:
        trainer: A `Trainer`.
        epochs: Passes over the dataset, 1 or more.

    Raises:
        ValueError: If one of them is something else.
    """

    def __init__(self, trainer, epochs):
        if not isinstance(trainer, training.Trainer):
            raise ValueError(
                f"`trainer` must be a Trainer. Received: trainer={trainer!r}."
            )
        if type(epochs) is not int or epochs < 1:
            raise ValueError(
                "`epochs` must be an int of at least 1. "
                f"Received: epochs={epochs!r}."
            )
        self.trainer = trainer
        self.epochs = epochs

    def train(
        self, model, dataset, loss_fn, validation_data=None, on_record=None
    ):
        """Trains a model under the current strategy.

        Args:
            model: A `keras.Model`, made under the strategy; its weights
                change.
            dataset: `tf.data.Dataset` of batched `(inputs, labels)`.
            loss_fn: Function `(labels, outputs)` to one loss per example.
            validation_data: Dataset to measure the accuracy on after each
                epoch. Defaults to None.
            on_record: Function that is called with the record of each epoch
                and `(epoch, epochs)`. Defaults to None.

        Returns:
            The records, as of `training.fit`.

        Raises:
            ValueError: If model, data and loss do not fit.
            FloatingPointError: If the loss is not finite.
        """

        def show(record):
            if on_record is not None:
                on_record(record, (record["epoch"], self.epochs))

        return training.fit(
            model,
            dataset,
            loss_fn,
            self.trainer,
            epochs=self.epochs,
            validation_data=validation_data,
            on_record=show,
        )

    def train_once(
        self,
        model,
        dataset,
        loss_fn,
        path,
        validation_data=None,
        on_record=None,
    ):
        """Trains a model and saves it, or takes the weights saved before.

        Args:
            model: As for `train`.
            dataset: As for `train`.
            loss_fn: As for `train`.
            path: The `.keras` file; if it is there, nothing is trained.
            validation_data: As for `train`.
            on_record: As for `train`.
        """
        if pathlib.Path(path).exists():
            logging.info("The base model is that of %s.", path)
            saved = keras.models.load_model(path, compile=False)
            model.set_weights(saved.get_weights())
            # A shuffle goes on from the epochs that began before: those of the
            # check of a batch and of the training.
            for _ in range(1 + self.epochs):
                iter(dataset)
            return
        self.train(model, dataset, loss_fn, validation_data, on_record)
        exporting.save_keras(model, path)


def train(
    model,
    dataset,
    pretraining,
    *,
    loss_fn,
    output_dir,
    validation_data=None,
    test_data=None,
    seed=None,
    config=None,
    command=None,
    on_record=None,
):
    """Trains a base model, exports and reports it.

    On a finished run the same call returns its model; a run that was stopped
    begins again.

    Args:
        model: A built Functional or Sequential `keras.Model`, made under the
            current strategy; its weights change.
        dataset: `tf.data.Dataset` of batched `(inputs, labels)` to train on.
        pretraining: A `Pretraining`.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        output_dir: Folder for `1/` (the SavedModel), `model.keras`,
            `report.json` and `records.jsonl`.
        validation_data: Dataset to measure the accuracy on after each epoch.
            Defaults to None.
        test_data: Dataset for the accuracy of the report, read only once the
            training is done. Defaults to `validation_data`.
        seed: Seed of every random draw from here on, as for
            `keras.utils.set_random_seed`. Defaults to None: not set.
        config: Text that says how the run was set up; a run in the same folder
            with another text is refused. Defaults to None: that of
            `identity.describe`, of all that the run depends on but the first
            weights of the model.
        command: The command line of the run, for the report. Defaults to None.
        on_record: As for `Pretraining.train`.

    Returns:
        The trained `keras.Model`.

    Raises:
        ValueError: If model, data, settings or folder do not fit, before any
            training; nothing is written.
        FloatingPointError: If the loss is not finite.
        OSError: If the folder cannot be written.
    """
    folder = pathlib.Path(output_dir)
    if config is None:
        config = identity.describe(
            model,
            dataset,
            trained=False,
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
    if seed is not None:
        keras.utils.set_random_seed(seed)
    started = time.monotonic()
    with runs.claimed(folder, config) as own:
        records = own / "records.jsonl"
        records.unlink(missing_ok=True)

        def write(record, progress):
            report.append_record(records, record)
            if on_record is not None:
                on_record(record, progress)

        pretraining.train(model, dataset, loss_fn, validation_data, write)
        summary = {
            **_measures(model, test_data, loss_fn),
            "seed": seed,
            "command": command,
            "seconds": time.monotonic() - started,
            "versions": report.versions(),
        }
        # As at the end of `pruning.prune`: a scope holds for one thread.
        with futures.ThreadPoolExecutor(max_workers=1) as pool:
            pool.submit(_export, model, own).result()
        text = json.dumps(summary, indent=2)
        files.write_text(own / "report.json", f"{text}\n")
    return model


def _export(model, folder):
    runs.export(program.duplicate(model), folder)


def _measures(model, test_data, loss_fn):
    """Returns the accuracy, the loss and the cost of a model."""
    measures = (
        {}
        if test_data is None
        else training.evaluate(model, test_data, loss_fn)
    )
    return {
        "accuracy": measures.get("accuracy"),
        "loss": measures.get("loss"),
        **costs.cost(model)._asdict(),
    }
