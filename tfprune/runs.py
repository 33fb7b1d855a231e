"""The folder of a run: whose it is, and what is written into it."""

from concurrent import futures
import contextlib
import difflib
import json
import pathlib
import shutil
import tempfile

import tensorflow as tf

from tfprune import exporting
from tfprune import files

OUTPUTS = (
    "1",
    "base",
    "base.keras",
    "checkpoints",
    "model.keras",
    "records.jsonl",
    "report.json",
)


def is_finished(folder, config):
    """Whether a folder holds a finished run; nothing is written.

    Args:
        folder: Output folder of the run; it need not exist.
        config: Text that says how the run is set up, or None.

    Raises:
        ValueError: If the folder holds what is not of this run.
    """
    folder = pathlib.Path(folder)
    path = folder / "run.json"
    if not path.exists():
        _check_free(folder)
        return False
    there = json.loads(path.read_text(encoding="utf-8"))["config"]
    if there != config:
        raise ValueError(
            "`output_dir` must hold a run of the same configuration, or none. "
            f"Received: {str(folder)!r}, which differs. Choose another folder, "
            f"or delete it.\n{_difference(there, config)}"
        )
    return (folder / "report.json").exists()


@contextlib.contextmanager
def claimed(folder, config):
    """Makes the folder that of this run; yields the one to write to.

    That is a temporary one for a worker that is not the chief: it takes part
    in all that is written, because values may be spread over the workers.

    Args:
        folder: As for `is_finished`.
        config: As for `is_finished`.

    Raises:
        OSError: If the folder cannot be written.
    """
    if not tf.distribute.get_strategy().extended.should_checkpoint:
        with tempfile.TemporaryDirectory() as own:
            yield pathlib.Path(own)
        return
    folder = pathlib.Path(folder)
    text = json.dumps({"config": config}, indent=1)
    files.write_text(folder / "run.json", text)
    yield folder


def outside_strategy(function, *args):
    """Calls a function outside the scope of the current strategy.

    A scope holds for one thread: in another, models are made of plain
    variables, as serving wants them.

    Args:
        function: Any function.
        *args: Its arguments.

    Returns:
        What the function returned; what it raised is raised.
    """
    with futures.ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(function, *args).result()


def export(model, folder):
    """Writes `model.keras` and `1/`, anew if a killed run left some.

    Args:
        model: A built `keras.Model`, of plain variables.
        folder: Output folder of the run.

    Raises:
        ValueError: If the model or a name cannot be served.
        OSError: If the folder cannot be written.
        ExportError: If the reloaded model and `model` differ.
    """
    version = pathlib.Path(folder, "1")
    if version.exists():
        shutil.rmtree(version)
    exporting.save_keras(model, pathlib.Path(folder, "model.keras"))
    exporting.export(model, folder)


def _check_free(folder):
    others = [name for name in OUTPUTS if (folder / name).exists()]
    if others:
        raise ValueError(
            "`output_dir` must hold a run, or nothing in its place. "
            f"Received: {str(folder)!r}, which holds {', '.join(others)} "
            "but no run.json. Choose another folder."
        )


def _difference(there, here):
    lines = difflib.unified_diff(
        (there or "").splitlines(),
        (here or "").splitlines(),
        "the run in the folder",
        "this run",
        lineterm="",
        n=0,
    )
    return "\n".join(lines)
