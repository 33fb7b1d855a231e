"""The folder of a run: whose it is, and what is written into it."""

from concurrent import futures
import contextlib
import difflib
import json
import pathlib
import shutil
import tempfile

from absl import logging
import keras
import tensorflow as tf

from tfprune import exporting
from tfprune import files
from tfprune import hdf5

OUTPUTS = (
    "1",
    "base",
    "base.keras",
    "checkpoints",
    "correlation.md",
    "correlation.png",
    "experiment.md",
    "experiment.png",
    "figures",
    "logs",
    "model.hdf5",
    "model.keras",
    "one_shot.md",
    "one_shot.png",
    "operative_config.gin",
    "records.jsonl",
    "report.json",
    "report.md",
    "runs",
    "scores.json",
    "stages",
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
    there = _config(path)
    if there != config:
        raise ValueError(
            "`output_dir` must hold a run of the same configuration, or none. "
            f"Received: {str(folder)!r}, which differs. Choose another folder, "
            f"or delete it.\n{_difference(there, config)}"
        )
    return (folder / "report.json").exists()


def finished_model(folder):
    """Returns the model of a finished run, and says that nothing was done.

    Args:
        folder: Output folder of the run.

    Raises:
        ValueError: If there is no model, or Keras cannot load it.
    """
    path = pathlib.Path(folder, "model.keras")
    if not path.exists():
        raise ValueError(
            "A finished run must hold its model. "
            f"Received: {str(folder)!r}, which holds report.json but no "
            "model.keras. Delete report.json to export the model again."
        )
    try:
        model = keras.models.load_model(path)
    except Exception as error:
        raise ValueError(
            "The model of a finished run must be one that Keras can load. "
            f"Received: {str(path)!r}, which fails: {error}\nRegister classes "
            "and functions of your own with "
            "`keras.saving.register_keras_serializable`, or name them in a "
            "`keras.saving.custom_object_scope` around this call."
        ) from error
    logging.warning("Nothing to do: %s holds a finished run.", folder)
    return model


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


def export(model, folder, with_hdf5=False):
    """Writes `model.keras` and `1/`, anew if a killed run left some.

    Args:
        model: A built `keras.Model`, of plain variables.
        folder: Output folder of the run.
        with_hdf5: Whether to write `model.hdf5`, too. Defaults to False.

    Raises:
        ValueError: If the model or a name cannot be served.
        OSError: If the folder cannot be written.
        ExportError: If the reloaded model and `model` differ.
    """
    version = pathlib.Path(folder, "1")
    if version.exists():
        shutil.rmtree(version)
    exporting.save_keras(model, pathlib.Path(folder, "model.keras"))
    if with_hdf5:
        hdf5.save(model, pathlib.Path(folder, "model.hdf5"))
    exporting.export(model, folder)


def _config(path):
    """Returns the configuration that `claimed` wrote."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["config"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            "`output_dir` must hold a run, or nothing in its place. "
            f"Received: {str(path.parent)!r}, whose run.json is of something "
            f"else ({error!r}). Choose another folder."
        ) from error


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
