"""Models written as TensorFlow Serving loads them, and read back."""

import contextlib
import math
import pathlib
import re
from typing import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfprune import files

TOLERANCE = 1e-5  # of the largest output
FREE_SIZE = 96  # stands for a None dimension while checking


class ExportError(RuntimeError):
    """A SavedModel does not compute what its model does."""


class Served(NamedTuple):
    """A model read from disk, ready for inference.

    Attributes:
        call: Function from the inputs, structured as the model's, to
            {name: output}.
        inputs: {name: `tf.TensorSpec`}.
        outputs: {name: `tf.TensorSpec`}.
        params: Number of weights.
        path: The file or version folder it was read from.
    """

    call: Callable
    inputs: dict
    outputs: dict
    params: int
    path: pathlib.Path


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
    endpoint = _endpoint(_functional(model))
    inputs = _random_inputs(endpoint)
    expected = endpoint(inputs)  # Traces the endpoint, as the archive asks.
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", endpoint)
    archive.add_variable_collection("weights", model.weights)
    with _writing(target) as partial:
        archive.write_out(partial, verbose=False)
        _check(_serve(partial, endpoint, inputs), expected)
    return target


def save_keras(model, path):
    """Saves `model` as the `.keras` file `path`, whole or not at all."""
    with _writing(path) as partial:
        model.save(partial)


def load(path):
    """Reads a `.keras` file, a version folder, or the newest version in `path`.

    Returns:
        The model as `Served`.

    Raises:
        FileNotFoundError: If `path` holds none of them.
    """
    path = pathlib.Path(path)
    if path.suffix == ".keras" and path.is_file():
        model = keras.saving.load_model(path, compile=False)
        endpoint = _endpoint(_functional(model))
        concrete = endpoint.get_concrete_function()
        return _served(endpoint, concrete, model.weights, path)
    versions = [path] if _is_saved_model(path) else _versions(path)
    if not versions:
        raise FileNotFoundError(
            f"A model is a `.keras` file, a SavedModel, or a folder with "
            f"numbered SavedModels. Received: path={str(path)!r}, which is "
            f"none of them; give the output folder of a finished run."
        )
    loaded = tf.saved_model.load(versions[-1])
    signature = loaded.signatures["serving_default"]

    def serve(inputs):
        return loaded.serve(inputs)  # Keeps `loaded` and its variables alive.

    return _served(serve, signature, loaded.weights, versions[-1])


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


@contextlib.contextmanager
def _writing(path):
    """Yields a path to write to, as `files.atomic`, and explains failures."""
    try:
        with files.atomic(path) as partial:
            yield partial
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            f"Models need a writable folder with enough space. Received: "
            f"path={str(path)!r}, which failed: {error}; nothing was left "
            f"behind, so free space or choose another path and try again."
        ) from error


def _functional(model):
    """Returns `model` with the names of its outputs, which Sequential lacks."""
    if not (model.built and hasattr(model, "inputs")):
        raise ValueError(
            f"Only built Functional and Sequential models can be served. "
            f"Received: {model.name!r} of type {type(model).__name__}; build "
            f"it, or give it inputs with `keras.Model(inputs, outputs)`."
        )
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs[0], model.outputs[0])
    _check_names("Inputs", [tensor.name for tensor in model.inputs])
    _check_names("Outputs", _output_names(model))
    return model


def _output_names(model):
    if isinstance(model.output, dict):
        return sorted(model.output)
    return model.output_names


def _check_names(what, names):
    valid = all(re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9_.-]*", n) for n in names)
    if not valid or len(set(names)) < len(names):
        raise ValueError(
            f"{what} need different names of letters, digits, `_`, `-` or `.` "
            f"to be served. Received: {names}; rename the layers, or give the "
            f"model a dict of them."
        )


def _endpoint(model):
    """Returns the inference function of `model`, inputs -> {name: output}."""

    def serve(inputs):
        outputs = keras.tree.flatten(model(inputs, training=False))
        return dict(zip(_output_names(model), outputs, strict=True))

    specs = keras.tree.map_structure(
        lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype, x.name),
        model.input,
    )
    return tf.function(serve, input_signature=[specs], autograph=False)


def _random_inputs(endpoint):
    """Returns two examples, structured as the endpoint's inputs."""
    generator = np.random.default_rng(0)

    def draw(spec):
        shape = [2, *(size or FREE_SIZE for size in spec.shape[1:])]
        return tf.cast(generator.uniform(0, 2, shape), spec.dtype)

    return keras.tree.map_structure(draw, endpoint.input_signature[0])


def _serve(path, endpoint, inputs):
    """Returns what the SavedModel at `path` makes of the endpoint's inputs."""
    signature = tf.saved_model.load(path).signatures["serving_default"]
    names = _named(endpoint.input_signature)
    tensors = dict(zip(names, keras.tree.flatten(inputs), strict=True))
    arguments = signature.structured_input_signature[1]
    return signature(**{k: tensors[s.name] for k, s in arguments.items()})


def _check(served, expected):
    """Raises `ExportError` if outputs, {name: output}, differ."""
    for name, output in expected.items():
        difference = np.max(np.abs(np.subtract(served[name], output)))
        largest = np.max(np.abs(output))
        if not difference <= TOLERANCE * largest:  # NaN differs, too.
            raise ExportError(
                f"A reloaded SavedModel must equal its model within "
                f"{TOLERANCE:g} x max |output|. Received: output {name!r} "
                f"differs by {difference:g} of {largest:g}; look for weights "
                f"that are not finite and layers that draw random numbers."
            )


def _named(specs):
    return {spec.name: spec for spec in keras.tree.flatten(specs)}


def _versions(path):
    """Returns the version folders in `path`, the newest last."""
    folders = [p for p in path.glob("*") if p.name.isdecimal()]
    return sorted(filter(_is_saved_model, folders), key=lambda p: int(p.name))


def _is_saved_model(path):
    return (path / "saved_model.pb").is_file()


def _served(call, concrete, weights, path):
    return Served(
        call=call,
        inputs=_named(concrete.structured_input_signature),
        outputs={
            name: tf.TensorSpec(output.shape, output.dtype, name)
            for name, output in concrete.structured_outputs.items()
        },
        params=sum(math.prod(v.shape) for v in weights),
        path=path,
    )
