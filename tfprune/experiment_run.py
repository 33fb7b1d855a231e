"""One run of an experiment: its records, its curve and how far it is."""

import pathlib
import re
import shutil

from tfprune import costs
from tfprune import evaluation
from tfprune import journal
from tfprune import rounds


class Run:
    """One run of an experiment, in a folder of its own.

    Args:
        own: Where `runs/` is written.
        folder: Where it was written by the chief.
        name: Of the run.
        clock: The `Clock` of the experiment.
    """

    def __init__(self, own, folder, name, clock):
        path = pathlib.PurePath("runs", slug(name))
        self._name = name
        self._own = own / path
        self._folder = folder / path
        self._clock = clock

    def complete(self, make, what, stop_accuracy, on_record):
        """Does what is left of the run.

        Args:
            make: Function that makes the `Method`.
            what: Model, dataset, loss function and test data.
            stop_accuracy: As for `experiment`.
            on_record: As for `Rounds`.
        """
        records = journal.read(self._folder / rounds.RECORDS)
        if records and records[-1]["last"]:
            self._clock.saved.assign(records[-1]["seconds"])
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
        """Returns `sparsity` and `accuracy` of the run, two lists.

        Args:
            base: The accuracy that they begin with.
        """
        records = journal.read(self._folder / rounds.RECORDS)
        return {
            "sparsity": [0.0, *(record["sparsity"] for record in records)],
            "accuracy": [base, *(record["accuracy"] for record in records)],
        }


class Progress:
    """Tells how many runs are done, the one at hand by its sparsity.

    Args:
        on_record: As for `experiment`.
        done: How many were done before.
        total: How many there are.
    """

    def __init__(self, on_record, done, total):
        self._on_record = on_record
        self._done = done
        self._total = total

    def __call__(self, record, progress):
        share = 1.0 if record["last"] else record["sparsity"] / 100
        self._on_record(record, (round(self._done + share, 2), self._total))


def slug(name):
    """Returns the name of the folder of a run."""
    return re.sub(r"\W+", "-", name)
