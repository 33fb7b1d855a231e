"""What runs write down: a line of JSON for each round, and summaries."""

import json
import math
import os
import pathlib

import numpy as np
import tensorflow as tf

from tfprune import files


def append(path, record):
    """Adds `record` to the JSON lines at `path` and flushes it to the disk.

    What a killed process left of a line is removed first.

    Args:
        path: File; made if it does not exist.
        record: dict of one round, of what `plain` knows.

    Raises:
        TypeError: If a value is of no type of JSON.
        OSError: If the file cannot be written.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(dumps(record).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(path):
    """Returns the records at `path` in order, [] if there is no file.

    A last line that a killed process did not finish is dropped.

    Raises:
        ValueError: If another line is damaged.
    """
    path = pathlib.Path(path)
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise ValueError(
            f"Each line of the records must be JSON. Received: "
            f"path={str(path)!r}, which fails: {error}; remove that line."
        ) from error


def rewind(path, step):
    """Drops the records after `step`, where a resumed run goes on from.

    Args:
        path: File; made if it does not exist.
        step: Training steps.

    Raises:
        ValueError: If a line is damaged.
        OSError: If the file cannot be written.
    """
    records = [r for r in read(path) if r["step"] <= step]
    files.write_text(path, "".join(dumps(r) + "\n" for r in records))


def log_scalars(writer, record):
    """Writes the numbers of `record` for TensorBoard at its `step`.

    `tf.summary.scalar` does the same, but only where TensorBoard is installed.

    Args:
        writer: From `tf.summary.create_file_writer`.
        record: As for `append`, with a `step`.
    """
    kind = tf.compat.v1.SummaryMetadata(
        data_class="DATA_CLASS_SCALAR", plugin_data={"plugin_name": "scalars"}
    )
    with writer.as_default(step=record["step"]):
        for name, value in plain(record).items():
            if name != "step" and isinstance(value, (int, float)):
                scalar = tf.constant(value, tf.float32)
                tf.summary.write(name, scalar, metadata=kind)
    writer.flush()


def write(path, value):
    """Writes `value` to the file `path` as JSON, whole or not at all.

    Raises:
        TypeError: If it holds what is of no type of JSON.
        OSError: If the file cannot be written.
    """
    files.write_text(path, dumps(value, indent=2) + "\n")


def plain(value):
    """Returns `value` in the types of JSON; None for what is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(inside) for key, inside in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inside) for inside in value]
    if hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def dumps(value, indent=None):
    """Returns `value` as JSON; null for what is not finite."""
    return json.dumps(plain(value), indent=indent, allow_nan=False)
