"""Models written as TensorFlow Serving loads them."""

import gc
import pathlib

import keras
import tensorflow as tf

from tfprune import files
from tfprune import serving
from tfprune import verification

TOLERANCE = 1e-5  # of the largest output


class ExportError(RuntimeError):
    """A SavedModel does not compute what its model does."""


def export(model, path, version=1):
    """Writes the SavedModel `<path>/<version>` and checks it.

    Its endpoint `serve` takes inputs as the model does and returns
    {name: output}; so does the signature `serving_default`, by input names
    (with `_` for what no Python argument has in its name). The batch, and any
    dimension that is None in the model, may have any size. The folder appears
    whole or not at all, so a polling server never loads half of it.

    Args:
        model: Built Functional or Sequential model.
        path: Folder of all versions.
        version: Positive int. Defaults to 1.

    Returns:
        The path of the version folder.

    Raises:
        ValueError: If the version, the model or a name cannot be served.
        FileExistsError: If the version exists; nothing is overwritten.
        OSError: If the folder cannot be written.
        ExportError: If the reloaded model and `model` differ.
    """
    target = _target(pathlib.Path(path), version)
    with files.atomic(target) as partial:
        endpoint = write(model, partial)
        inputs = verification.random_inputs(model)
        expected = endpoint(inputs)
        del endpoint
        gc.collect()  # Its constants, before they are loaded once more.
        _check(serving.load(partial).call(inputs), expected)
    return target


def write(model, path):
    """Writes the SavedModel `path` without a check.

    Args:
        model: Built Functional or Sequential model.
        path: The folder.

    Returns:
        The endpoint that was written, inputs -> {name: output}.

    Raises:
        ValueError: If the model or a name cannot be served.
        tf.errors.OpError: If the folder cannot be written.
    """
    endpoint = serving.endpoint(model)
    endpoint.get_concrete_function()  # The archive asks for what is traced.
    archive = keras.export.ExportArchive()
    tables = tf.Module()
    tables.of = model  # Tracked as a layer, its weights would be saved as well.
    archive.track(tables)
    archive.add_endpoint("serve", endpoint)
    archive.write_out(path, verbose=False)
    return endpoint


def check(model):
    """Raises an error if a model cannot be exported; writes nothing.

    Args:
        model: Built Functional or Sequential model.

    Raises:
        ValueError: If the model or a name cannot be served.
    """
    serving.endpoint(model).get_concrete_function()


def save_keras(model, path):
    """Saves `model` as the `.keras` file `path`, whole or not at all."""
    with files.atomic(path) as partial:
        model.save(partial)


def _target(path, version):
    if type(version) is not int or version < 1:
        raise ValueError(
            f"`version` must be a positive int. Received: version={version!r}."
        )
    target = path / str(version)
    if target.exists():
        raise FileExistsError(
            f"A version is never overwritten. Received: path={str(path)!r}, "
            f"version={version}, which exists; export another version or "
            f"remove {str(target)!r} first."
        )
    return target


def _check(served, expected):
    """Raises `ExportError` if outputs, {name: output}, differ."""
    for name, output in expected.items():
        difference, largest = verification.difference(served[name], output)
        if not difference <= TOLERANCE * largest:  # NaN differs, too.
            raise ExportError(
                f"A reloaded SavedModel must equal its model within "
                f"{TOLERANCE:g} x max |output|. Received: output {name!r} "
                f"differs by {difference:g} of {largest:g}; look for weights "
                f"that are not finite and layers that draw random numbers."
            )
