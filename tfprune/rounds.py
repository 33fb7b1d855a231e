"""The rounds of a run: recorded, saved after each, and taken up again."""

import itertools
import time

from absl import logging
import numpy as np
import tensorflow as tf

from tfprune import journal

CHECKPOINTS = 3  # How many are kept.
RECORDS = "records.jsonl"


class Clock:
    """The time that a run takes, in all processes that work on it.

    Attributes:
        saved: Variable of the seconds until the last checkpoint.
    """

    def __init__(self):
        self.saved = tf.Variable(0.0, dtype=tf.float64)
        self._since = time.monotonic()

    @property
    def seconds(self):
        """The time so far; what a killed process did not save is lost."""
        return float(self.saved.numpy()) + time.monotonic() - self._since

    def save(self):
        """Sets `saved` to now."""
        self.saved.assign(self.seconds)
        self._since = time.monotonic()


class Rounds:
    """The rounds of a machine that are left; a stopped run goes on from there.

    A machine is a `Method`, or anything that has its `state`, `done`,
    `progress` and `step`; it was started.

    Args:
        machine: The machine.
        folder: Where `records.jsonl`, `checkpoints/` and `logs/` are written.
        saved: Where they were written to by the chief: `folder`, or another
            one on a worker that is not the chief.
        clock: The `Clock` of the run.
        on_record: Function that is called with each record that was saved and
            `machine.progress`, or None.

    Raises:
        ValueError: If a checkpoint is not one of this machine.
        OSError: If there are checkpoints, and none of them can be read.
    """

    def __init__(self, machine, folder, saved, clock, on_record=None):
        self._records = folder / RECORDS
        self._machine = machine
        self._clock = clock
        self._on_record = on_record
        self._numbers = [
            variable
            for variable in itertools.chain(*machine.state.values())
            if variable.dtype.is_floating
        ]
        self._are_finite = tf.function(self._finite, autograph=False)
        self._writer = tf.summary.create_file_writer(str(folder / "logs"))
        self._checkpoint = tf.train.Checkpoint(
            seconds=clock.saved, **machine.state
        )
        _drop_damaged_list(folder / "checkpoints")
        self._manager = tf.train.CheckpointManager(
            self._checkpoint,
            str(folder / "checkpoints"),
            max_to_keep=CHECKPOINTS,
        )
        step = self._restore(saved / "checkpoints")
        self._were_finite = self._are_finite().numpy()
        journal.rewind(self._records, step)

    def __iter__(self):
        """Does the rounds that are left; yields their numbers and records.

        Raises:
            FloatingPointError: If a weight or another number of the machine's
                state is no longer finite after a round.
        """
        done = len(journal.read(self._records))
        for number in itertools.count(done + 1):
            if self._machine.done:
                return
            record = self._machine.step()
            self._check_finite(record["step"])
            yield number, {**record, "seconds": self._clock.seconds}

    def save(self, record):
        """Writes the record of a round and a checkpoint.

        Args:
            record: What was yielded, and what is known besides.

        Raises:
            OSError: If the folder cannot be written.
        """
        logging.info("%s", record)
        journal.append(self._records, record)
        journal.log_scalars(self._writer, record)
        self._clock.save()
        self._manager.save(checkpoint_number=record["step"])
        if self._on_record is not None:
            self._on_record(record, self._machine.progress)

    def _finite(self):
        return tf.stack(
            [
                tf.reduce_all(tf.math.is_finite(variable))
                for variable in self._numbers
            ]
        )

    def _check_finite(self, step):
        lost = np.flatnonzero(self._were_finite & ~self._are_finite().numpy())
        if len(lost):
            first = self._numbers[lost[0]].name.removesuffix(":0")
            raise FloatingPointError(
                "Weights and the state of their training must stay finite. "
                f"Received: {first!r} and {len(lost) - 1} more that are not "
                f"after step {step}. Lower the learning rate or clip the "
                "gradient; the last checkpoint is from before."
            )

    def _restore(self, folder):
        """Goes back to the newest checkpoint; returns its step, or 0."""
        steps = _saved_steps(folder)
        for step in steps:
            path = str(folder / f"ckpt-{step}")
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
                return step
        if steps:
            raise OSError(
                "A run goes on from a checkpoint that can be read. Received: "
                f"those of steps {steps} in {str(folder)!r}, of which none can "
                "be. Delete the folder of the run to start anew."
            )
        return 0


def _drop_damaged_list(folder):
    """Removes the list of checkpoints in a folder if it cannot be read."""
    try:
        tf.train.get_checkpoint_state(str(folder))
    except ValueError as error:
        logging.warning("Dropping the list of checkpoints: %s", error)
        (folder / "checkpoint").unlink()


def _saved_steps(folder):
    """Returns the steps of the checkpoints in a folder, newest first.

    TensorFlow's list of them may be damaged, or older than they are.
    """
    paths = folder.glob("ckpt-*.index")
    steps = (int(path.stem.removeprefix("ckpt-")) for path in paths)
    return sorted(steps, reverse=True)
