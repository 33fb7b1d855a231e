"""What models take on this machine, measured once and kept in a file."""

import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfprune import exporting
from tfprune import files
from tfprune import serving


class Effort(NamedTuple):
    """How carefully models are timed."""

    runs: int  # samples of each, of which the least counts, in a process
    sample_ms: float  # that a sample takes at least
    processes: int  # that time all, one after the other; the median counts


class Store:
    """What was measured on this machine, {key: milliseconds} in a file.

    Args:
        path: The JSON file.
        batch_size: Number of examples in a call.
        threads: Number of threads of TensorFlow.
    """

    def __init__(self, path, batch_size, threads):
        self._path = pathlib.Path(path).expanduser()
        self._settings = batch_size, threads
        self._machine = (
            f"{platform.node()} {platform.platform()}, {os.cpu_count()} CPUs, "
            f"TensorFlow {tf.__version__}, least times, batch of {batch_size}, "
            f"threads: {threads}, constants of {serving.CONSTANT_BYTES} bytes"
        )
        self._rows = self._read().get(self._machine, {})

    def __contains__(self, key):
        return key in self._rows

    def __getitem__(self, key):
        return self._rows[key]

    def measure(self, batches, effort):
        """Measures exports of models and keeps what they take.

        Args:
            batches: {key: function that makes a model}s; those of one take
                turns.
            effort: The `Effort`.
        """
        with tempfile.TemporaryDirectory() as folder:
            folders = [f"{folder}/{i}" for i in range(len(batches))]
            for models, each in zip(batches, folders):
                for key, make in models.items():
                    exporting.write(make(), f"{each}/{key}")
            times = timed(folders, *self._settings, effort)
        for each in times:
            self._rows.update(each)
        table = self._read()
        others = table.get(self._machine, {})  # Of a run beside this one.
        table[self._machine] = {**others, **self._rows}
        files.write_text(self._path, json.dumps(table, indent=1))

    def _read(self):
        if not self._path.exists():
            return {}
        try:
            table = json.loads(self._path.read_text(encoding="utf-8"))
            return {machine: dict(rows) for machine, rows in table.items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                "The table of latencies must be a file that was written here. "
                f"Received: {str(self._path)!r}, which is damaged or another. "
                "Delete it, or name another file."
            ) from error


def timed(folders, batch_size, threads, effort):
    """Returns what the exports in each folder take, {name: milliseconds}.

    The placement of a model in memory is that of its process, and so is some
    of the time that it takes.

    Args:
        folders: Paths of folders of exports. Those of one take turns.
        batch_size: As for a `Store`.
        threads: The same.
        effort: The `Effort`.
    """
    runs, sample_ms, processes = effort
    settings = batch_size, threads, runs, sample_ms, *folders
    measured = [_in_process(*map(str, settings)) for _ in range(processes)]
    return [_median(rows) for rows in zip(*measured)]


def _median(rows):
    """Returns the medians of {name: ms}s, of the shares of their sums.

    So what slows a process down does not count.
    """
    times = np.array([[row[name] for name in rows[0]] for row in rows])
    sums = times.sum(axis=1, keepdims=True)
    medians = np.median(sums) * np.median(times / sums, axis=0)
    return dict(zip(rows[0], medians.tolist()))


def _in_process(*arguments):
    """Returns what `stopwatch` writes, in a process of its own."""
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "tfprune.stopwatch", *arguments],
        env=os.environ | paths,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(
            "A model must run in a process of its own to be timed. Received: "
            f"an error there: {done.stderr[-2000:]}"
        )
    return json.loads(done.stdout)
