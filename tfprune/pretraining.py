"""Base models: how they are trained, and a run that does so."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from tfprune import checks
from tfprune import costs
from tfprune import exporting
from tfprune import identity
from tfprune import journal
from tfprune import measures as measures_lib
from tfprune import rebuilding
from tfprune import replicas
from tfprune import report
from tfprune import rounds
from tfprune import runs
from tfprune import training


class Pretraining:
    """The training of a base model, a machine of one epoch in each round.

    An epoch is one iterator over the dataset. A resumed training begins those
    of the epochs before and reads nothing of them, so that a shuffle goes on.

    Args:
        trainer: A `Trainer`.
        epochs: Passes over the dataset, 1 or more.

    Raises:
        ValueError: If one of them is something else.
    """

    def __init__(self, trainer, epochs):
        checks.check_kind(training.Trainer, trainer=trainer)
        checks.check_counts(epochs=epochs)
        self.trainer = trainer
        self.epochs = epochs

    def start(self, model, dataset, loss_fn):
        """Builds the training under the current strategy; trains nothing.

        Args:
            model: A `keras.Model`, made under the strategy; its weights
                change.
            dataset: `tf.data.Dataset` of batched `(inputs, labels)`.
            loss_fn: Function `(labels, outputs)` to one loss per example.

        Raises:
            ValueError: If the dataset does not end, or the trainer does not
                fit the model.
        """
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "The dataset must end for `epochs` to be counted. "
                f"Received: an infinite dataset, epochs={self.epochs}."
            )
        self.trainer.build(model)
        self._model = model
        self._dataset = dataset
        self._batches, self._update = replicas.distribute(
            dataset,
            lambda inputs, labels: self.trainer.step(
                model, loss_fn, inputs, labels
            )[1],
        )
        # Traced now, so that what cannot be learnt is found before any file.
        self._update.get_concrete_function()
        self._epoch = tf.Variable(0, dtype=tf.int64)
        self._step = tf.Variable(0, dtype=tf.int64)

    @property
    def state(self):
        """All that a checkpoint holds: {name: list of `tf.Variable`s}."""
        return {
            "model": [x.value for x in self._model.variables],
            "trainer": [x.value for x in self.trainer.variables],
            "position": [self._epoch, self._step],
        }

    @property
    def done(self):
        """Whether no epoch is left."""
        return int(self._epoch.numpy()) >= self.epochs

    @property
    def progress(self):
        """How many epochs are done, and how many there are."""
        return int(self._epoch.numpy()), self.epochs

    def step(self):
        """Trains for an epoch.

        Returns:
            A record of `epoch`, `step`, `loss` (mean over the batches) and
            `learning_rate` (of the next step).

        Raises:
            FloatingPointError: If the loss is not finite.
            ValueError: If the dataset can be read only once.
        """
        losses = [self._train(batch) for batch in self._batches]
        if not losses:
            raise ValueError(
                "The dataset must be one that can be read for every epoch. "
                f"Received: 0 batches after {self.progress[0]} epochs."
            )
        self._epoch.assign_add(1)
        return {
            "epoch": self.progress[0],
            "step": int(self._step.numpy()),
            "loss": float(np.mean(losses)),
            "learning_rate": self.trainer.learning_rate,
        }

    def complete(self, left, measures, path=None):
        """Does all epochs that are left.

        Args:
            left: The `Rounds` of this training.
            measures: The `Measures` of the run.
            path: The `.keras` file that the model is kept in, unless it is
                there. Defaults to None.

        Raises:
            ValueError: As for `step`.
            FloatingPointError: As for `step` and `Rounds`.
        """
        for _ in range(self.progress[0]):
            iter(self._dataset)
        for _, record in left:
            left.save({**record, **measures.validate(self._model)})
        if path is not None and not path.exists():
            exporting.save_keras(self._model, path)

    def _train(self, batch):
        """Does one training step; returns its loss."""
        update = self._update(batch)
        self._step.assign_add(1)
        if not update.finite:
            raise FloatingPointError(
                f"The loss must be finite. Received: {float(update.loss)} in "
                f"step {int(self._step.numpy())} of the base training. Lower "
                "the learning rate or clip the gradient; the last checkpoint "
                "is from before."
            )
        return float(update.loss)


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

    The run is saved after every epoch: the same call goes on where a killed
    one stood, and on a finished run returns its model.

    Args:
        model: A built Functional or Sequential `keras.Model`, made under the
            current strategy; its weights change.
        dataset: `tf.data.Dataset` of batched `(inputs, labels)` to train on,
            as for `prune`.
        pretraining: A `Pretraining`.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        output_dir: Folder for `1/` (the SavedModel), `model.keras`,
            `report.json`, `records.jsonl`, `checkpoints/` and `logs/`.
        validation_data: Dataset to measure the accuracy on after each epoch.
            Defaults to None.
        test_data: Dataset for the accuracy of the report, read only once the
            training is done. Defaults to `validation_data`.
        seed: Seed of every random draw from here on, as for
            `keras.utils.set_random_seed`. Defaults to None: not set.
        config: Text that says how the run was set up; a run in the same folder
            with another text is refused. Defaults to None: that of
            `identity.describe`, which takes in the model without its weights,
            all settings, and of each dataset the length and the types and
            shapes of its elements. It reads no example: pass a text of your
            own to tell data apart.
        command: The command line of the run, for the report. Defaults to None.
        on_record: Function that is called with the record of each epoch and
            `(epoch, epochs)`. Defaults to None.

    Returns:
        The trained `keras.Model`.

    Raises:
        ValueError: If model, data, settings or folder do not fit, before any
            training; nothing is written.
        FloatingPointError: If the loss or a weight is not finite; checkpoints
            stay.
        OSError: If the folder cannot be written, or no checkpoint in it read.
    """
    checks.check_kind(Pretraining, pretraining=pretraining)
    measures = measures_lib.Measures(loss_fn, validation_data, test_data)
    checks.check_arguments(
        [dataset, *measures.datasets], loss_fn, output_dir, seed
    )
    folder = pathlib.Path(output_dir)
    if config is None:
        config = identity.describe(
            model,
            dataset,
            trained=False,
            pretraining=pretraining,
            loss_fn=loss_fn,
            validation_data=validation_data,
            test_data=test_data,
            seed=seed,
        )
    if runs.is_finished(folder, config):
        return runs.finished_model(folder)
    checks.check_run(model, [dataset, *measures.datasets], loss_fn)
    exporting.check(model)
    cost = costs.cost(model)
    if seed is not None:
        keras.utils.set_random_seed(seed)
    pretraining.start(model, dataset, loss_fn)
    with runs.claimed(folder, config) as own:
        clock = rounds.Clock()
        left = rounds.Rounds(pretraining, own, folder, clock, on_record)
        pretraining.complete(left, measures)
        summary = {
            **measures.final(model),
            "measured_on": measures.final_data,
            **cost._asdict(),
            "seed": seed,
            "command": command,
            "versions": report.versions(),
        }
        runs.outside_strategy(_export, model, own)
        summary["seconds"] = clock.seconds
        journal.write(own / "report.json", summary)
    return model


def _export(model, folder):
    runs.export(rebuilding.duplicate(model), folder)
