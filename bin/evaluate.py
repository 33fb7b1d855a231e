"""Measures models on disk: accuracy, parameters, MACs, size and CPU time.

    python bin/evaluate.py savedmodels/lenet_digits_taylor \
        --gin_file=gin_configs/lenet_digits_taylor.gin

A path is a `.keras` file, a SavedModel, or the folder of a run. Several are
timed in turns. The accuracy is that on the `test_data` of the config; without
a config it is unknown, as multiply-accumulates are without a `.keras` file.
"""

import copy
import json
import pathlib

from absl import app
from absl import flags
import command
import keras
import numpy as np
from rich import console
from rich import table
import tensorflow as tf

from tfprune import costs
from tfprune import exporting
from tfprune import files
from tfprune import losses
from tfprune import pretraining
from tfprune import pruning
from tfprune import timing

JSON = flags.DEFINE_string("json", None, "File to write the figures to, too.")

BATCHES = (1, 8)
COLUMNS = {
    "accuracy": ("accuracy", "{:.2%}"),
    "params": ("parameters", "{:,}"),
    "macs": ("MACs", "{:,}"),
    "bytes": ("bytes", "{:,}"),
    "cpu_ms_1": ("ms of 1", "{:.2f}"),
    "cpu_ms_8": ("ms of 8", "{:.2f}"),
}


def main(argv):
    _, *paths = argv
    if not paths:
        raise app.UsageError("Name at least one model. Received: no path.")
    models = {path: exporting.load(path) for path in paths}
    test_data = configured_test_data()
    figures = {path: {"path": path} for path in paths}
    for path, served in models.items():
        figures[path] |= {
            "accuracy": accuracy(served, test_data),
            "params": served.params,
            "macs": macs(pathlib.Path(path)),
            "bytes": size(served.path),
        }
    for batch in BATCHES:
        for path, timed in times(models, batch).items():
            figures[path][f"cpu_ms_{batch}"] = timed.median
    if JSON.value:
        text = json.dumps(list(figures.values()), indent=2)
        files.write_text(JSON.value, f"{text}\n")
    console.Console().print(show(figures.values()))


def configured_test_data():
    """Returns the `test_data` of the config, None if there is none."""
    if not command.GIN_FILE.value:
        return None
    command.parse_config()
    for function in (pruning.prune, pretraining.train):
        bindings = command.bindings(function)
        if "test_data" in bindings:
            return copy.deepcopy(bindings["test_data"])  # Gin makes it so.
    raise ValueError(
        "The config must bind `test_data` of pruning.prune or pretraining."
        f"train. Received: {', '.join(command.GIN_FILE.value)}, without it."
    )


def accuracy(served, dataset):
    """Returns the share of examples with the right class, None if unknown."""
    if dataset is None or len(served.outputs) != 1:
        return None
    hits = []
    for inputs, labels in dataset:
        (outputs,) = served.call(inputs).values()
        if not losses.are_classes(labels, outputs):
            return None
        classes = losses.class_numbers(labels, outputs)
        hits.extend((classes == tf.argmax(outputs, axis=-1)).numpy())
    return float(np.mean(hits))


def macs(path):
    """Returns the multiply-accumulates for one example, None if unknown."""
    path = path if path.suffix == ".keras" else path / "model.keras"
    if not path.is_file():
        return None
    return costs.cost(keras.saving.load_model(path, compile=False)).macs


def size(path):
    """Returns the bytes of a file, or of all files in a folder."""
    inside = [path] if path.is_file() else path.rglob("*")
    return sum(each.stat().st_size for each in inside if each.is_file())


def times(models, batch):
    """Returns {path: `Timing`} of the models on a batch of random inputs."""
    inputs = {
        path: exporting.random_inputs(served.inputs, batch)
        for path, served in models.items()
    }
    return timing.cpu_ms(
        {
            path: lambda path=path: models[path].call(inputs[path])
            for path in models
        }
    )


def show(figures):
    """Returns the figures of all models as a rich table."""
    grid = table.Table(caption="CPU milliseconds for a batch of 1 and of 8")
    grid.add_column("model", overflow="fold")
    for title, _ in COLUMNS.values():
        grid.add_column(title, justify="right")
    for row in figures:
        cells = (
            "unknown" if row[key] is None else pattern.format(row[key])
            for key, (_, pattern) in COLUMNS.items()
        )
        grid.add_row(row["path"], *cells)
    return grid


if __name__ == "__main__":
    command.run(main)
