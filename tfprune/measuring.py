"""What models take on this machine, measured once and kept in a file."""

import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

import tensorflow as tf

from tfprune import files
from tfprune import serving


class Store:
    """What was measured on this machine, {key: milliseconds} in a file."""

    def __init__(self, path, threads):
        self._path = pathlib.Path(path).expanduser()
        self._threads = threads
        self._machine = (
            f"{platform.node()} {platform.platform()}, {os.cpu_count()} CPUs, "
            f"TensorFlow {tf.__version__}, threads: {threads}, "
            f"constants of {serving.CONSTANT_BYTES} bytes"
        )
        self._rows = self._read().get(self._machine, {})

    def __contains__(self, key):
        return key in self._rows

    def __getitem__(self, key):
        return self._rows[key]

    def measure(self, batches, runs):
        """Measures works and keeps what they take.

        Args:
            batches: Pairs of keys and of the `Work`s that they stand for,
                which take turns.
            runs: Samples of each.
        """
        with tempfile.TemporaryDirectory() as folder:
            folders = [f"{folder}/{i}" for i in range(len(batches))]
            for (_, works), each in zip(batches, folders):
                _save([work.model() for work in works], each)
            times = _timed(self._threads, runs, folders)
        table = self._read()
        self._rows = table.setdefault(self._machine, {})
        for (keys, _), row in zip(batches, times):
            self._rows.update(zip(keys, row))
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


def _save(models, folder):
    """Saves models as functions that take turns, with one that does nothing."""
    module = tf.Module()
    module.empty = tf.function(
        lambda x: x, input_signature=[tf.TensorSpec([1], tf.float32)]
    )
    module.functions = [_function(model) for model in models]
    module.variables_of = [
        function.get_concrete_function().variables
        for function in module.functions
    ]
    tf.saved_model.save(module, folder)


def _function(model):
    specs = [tf.TensorSpec(x.shape, x.dtype) for x in model.inputs]
    call = serving.fixed(model, specs)
    return tf.function(lambda *x: call(list(x)), input_signature=specs)


def _timed(threads, runs, folders):
    """Returns what the functions in folders take, in a process of its own."""
    command = [sys.executable, "-m", "tfprune.stopwatch"]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [*command, str(threads), str(runs), *folders],
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
