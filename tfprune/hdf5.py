"""Weights by their names in one HDF5 file, as the code of AOFP keeps them."""

import h5py
import keras
from keras import layers
import numpy as np

from tfprune import files
from tfprune import program

WIDTHS = "deps"  # The dataset of how many filters each convolution has.


def save(model, path):
    """Writes all weights of a model to the HDF5 file `path`, whole or not.

    A dataset has the path of its variable as its name, with "+" for "/". One
    more, `deps`, tells the number of filters of each convolution, in the order
    of their first calls (Ding et al., 2019, AOFP).

    Args:
        model: A built Functional or Sequential `keras.Model`.
        path: The file; it is replaced if there is one.

    Raises:
        ValueError: If two variables have one path, or `deps` is the path of
            one.
        OSError: If the file cannot be written.
    """
    check(model)
    arrays = {
        variable.path.replace("/", "+"): keras.ops.convert_to_numpy(variable)
        for variable in model.weights
    }
    arrays[WIDTHS] = np.array(_widths(model), np.int64)
    with files.atomic(path) as partial, h5py.File(partial, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)


def check(model):
    """Raises an error if a model cannot be written; writes nothing.

    Args:
        model: As for `save`.

    Raises:
        ValueError: As for `save`.
    """
    seen = {WIDTHS}
    for variable in model.weights:
        if variable.path in seen:
            raise ValueError(
                "Variables must have paths of their own, other than "
                f"{WIDTHS!r}. Received: two of {variable.path!r}. Give layers "
                "and nested models different names."
            )
        seen.add(variable.path)


def read(path):
    """Returns {path of a variable: array} of a file of `save`.

    Args:
        path: The file.

    Raises:
        OSError: If it is no HDF5 file.
    """
    with h5py.File(path, "r") as file:
        return {
            name.replace("+", "/"): file[name][()]
            for name in file
            if name != WIDTHS
        }


def _widths(model):
    kinds = layers.Conv1D, layers.Conv2D, layers.Conv3D
    calls = program.program(model).calls
    convolutions = dict.fromkeys(
        call.layer for call in calls if isinstance(call.layer, kinds)
    )
    return [layer.filters for layer in convolutions]
