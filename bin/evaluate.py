"""Measures models on disk: accuracy, parameters, MACs, size and CPU time.

    python bin/evaluate.py savedmodels/lenet_digits_taylor \
        --gin_file=gin_configs/lenet_digits_taylor.gin

A path is a `.keras` file, a SavedModel, or the folder of a run. Several are
timed in turns. The accuracy is that on the `test_data` of the config; without
a config it is unknown. Multiply-accumulates are counted on a `.keras` file;
those of a SavedModel are unknown, unless `model.keras` lies beside it.

With `--weights` it shows the names, shapes and statistics of the weights in
place of the figures, also of an `.hdf5` file.
"""

import copy

from absl import app
from absl import flags
import command
import keras
from rich import console
from rich import table
import weights

from tfprune import costs
from tfprune import evaluation
from tfprune import journal
from tfprune import one_shot
from tfprune import pretraining
from tfprune import pruning
from tfprune import serving
from tfprune import speed

WEIGHTS = flags.DEFINE_bool("weights", False, "Whether to show the weights.")
JSON = flags.DEFINE_string("json", None, "File to write the figures to, too.")

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
    if WEIGHTS.value:
        for path in paths:
            shown = weights.show(path, weights.read(path))
            console.Console().print(*shown, sep="\n")
        return
    models = {path: serving.load(path) for path in paths}
    configured = configured_test()
    figures = {path: {"path": path} for path in paths}
    for path, served in models.items():
        figures[path] |= {
            "accuracy": accuracy(served, *configured),
            "params": served.params,
            "macs": macs(served),
            "bytes": size(served.path),
        }
    for path, times in speed.compare(models).items():
        for batch, each in times.items():
            figures[path][f"cpu_ms_{batch}"] = each.cpu_ms.median
    if JSON.value:
        journal.write(JSON.value, list(figures.values()))
    console.Console().print(show(figures.values()))


def configured_test():
    """Returns `test_data` and `loss_fn` of the config, None without one."""
    if not command.GIN_FILE.value:
        return None, None
    command.parse_config()
    for function in (pruning.prune, pretraining.train, one_shot.one_shot):
        bindings = command.bindings(function)
        if "test_data" in bindings:
            names = "test_data", "loss_fn"
            # Gin makes what a binding refers to when it is copied.
            return [copy.deepcopy(bindings[name]) for name in names]
    raise ValueError(
        "The config must bind `test_data` of pruning.prune, pretraining.train "
        "or one_shot.one_shot. "
        f"Received: {', '.join(command.GIN_FILE.value)}, without it."
    )


def accuracy(served, dataset, loss_fn):
    """Returns the share of examples with the right class, None if unknown."""
    if dataset is None or len(served.outputs) != 1:
        return None

    def model(inputs, training):
        (outputs,) = served.call(inputs).values()
        return outputs

    return evaluation.evaluate(model, dataset, loss_fn).get("accuracy")


def macs(served):
    """Returns the multiply-accumulates for one example, None if unknown."""
    path = served.path
    if path.suffix != ".keras":
        path = path.parent / "model.keras"
    if not path.is_file():
        return None
    cost = costs.cost(keras.saving.load_model(path, compile=False))
    # Another version than that of the file has other weights.
    return cost.macs if cost.params == served.params else None


def size(path):
    """Returns the bytes of a file, or of all files in a folder."""
    inside = [path] if path.is_file() else path.rglob("*")
    return sum(each.stat().st_size for each in inside if each.is_file())


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
