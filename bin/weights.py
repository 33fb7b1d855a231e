"""Names, shapes and statistics of the weights of a model on disk."""

import collections
import pathlib

import keras
import numpy as np
from rich import table

from tfprune import hdf5

NEAR = 1e-5  # What is nearer to 0 counts as near.
TITLES = ("shape", "mean", "std", "> 0", "< 0", "= 0", "near 0")


def read(path):
    """Returns {path of a variable: array} of a model on disk.

    Args:
        path: A `.keras` or `.hdf5` file, the folder of a run, or that of a
            SavedModel with `model.keras` beside it.

    Raises:
        FileNotFoundError: If there is none of them.
    """
    path = pathlib.Path(path)
    places = [path] if path.is_file() else []
    places += [path / "model.keras", path.parent / "model.keras"]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise FileNotFoundError(
            "The names of weights are in a `.keras` or `.hdf5` file, or in the "
            f"folder of a run. Received: path={str(path)!r}, which is none."
        )
    if found.suffix == ".hdf5":
        return hdf5.read(found)
    model = keras.saving.load_model(found, compile=False)
    return {
        variable.path: keras.ops.convert_to_numpy(variable)
        for variable in model.weights
    }


def statistics(array):
    """Returns {title: value} of an array."""
    numbers = np.asarray(array, float)
    return {
        "shape": "x".join(map(str, array.shape)),
        "mean": numbers.mean(),
        "std": numbers.std(),
        "> 0": int((numbers > 0).sum()),
        "< 0": int((numbers < 0).sum()),
        "= 0": int((numbers == 0).sum()),
        "near 0": int((np.abs(numbers) <= NEAR).sum()),
    }


def show(path, arrays):
    """Yields rich tables of weights: each, and totals by rank and kind.

    Args:
        path: The title.
        arrays: {path of a variable: array}.
    """
    caption = f"Near 0 are those at most {NEAR:g} from it."
    grid = table.Table(title=path, caption=caption)
    grid.add_column("name", no_wrap=True)
    for title in TITLES:
        grid.add_column(title, justify="right", overflow="fold")
    for name, array in arrays.items():
        cells = (_cell(value) for value in statistics(array).values())
        grid.add_row(name, *cells)
    yield grid
    totals = collections.Counter()
    for name, array in arrays.items():
        kind = name.rpartition("/")[2]
        for each in ("all", f"rank {array.ndim}", kind):
            totals[each] += array.size
    grid = table.Table("weights")
    grid.add_column("entries", justify="right")
    for name, size in totals.items():
        grid.add_row(name, f"{size:,}")
    yield grid


def _cell(value):
    return f"{value:.2g}" if isinstance(value, float) else f"{value}"
