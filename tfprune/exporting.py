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
        call: Function from the inputs to {name: output}.
        inputs: `tf.TensorSpec`s, structured as `call` takes the inputs.
        outputs: {name: `tf.TensorSpec`}.
        params: Number of weights that `call` reads.
        path: The file or version folder it was read from.
    """

    call: Callable
    inputs: object
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
    inputs = random_inputs(endpoint.input_signature[0])
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

    Inputs are structured as the model's. A SavedModel that was not written
    here takes one tensor, or {name: tensor} if it has several inputs.

    Returns:
        The model as `Served`.

    Raises:
        FileNotFoundError: If `path` holds none of them.
        ValueError: If a SavedModel has no signature `serving_default`.
    """
    path = pathlib.Path(path)
    if path.suffix == ".keras" and path.is_file():
        return _load_keras(path)
    versions = [path] if _is_saved_model(path) else _versions(path)
    if not versions:
        raise FileNotFoundError(
            f"A model is a `.keras` file, a SavedModel, or a folder with "
            f"numbered SavedModels. Received: path={str(path)!r}, which is "
            f"none of them; give the output folder of a finished run."
        )
    return _load_saved_model(versions[-1])


def random_inputs(specs, batch=2):
    """Returns a batch of examples for `tf.TensorSpec`s, in their structure.

    Args:
        specs: As the `inputs` of `Served`.
        batch: Number of examples. Defaults to 2.
    """
    generator = np.random.default_rng(0)

    def draw(spec):
        shape = [batch, *(size or FREE_SIZE for size in spec.shape[1:])]
        return tf.cast(generator.uniform(0, 2, shape), spec.dtype)

    return keras.tree.map_structure(draw, specs)


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


def _load_keras(path):
    model = keras.saving.load_model(path, compile=False)
    endpoint = _endpoint(_functional(model))
    outputs = endpoint.get_concrete_function().structured_outputs
    (inputs,) = endpoint.input_signature
    return _served(endpoint, inputs, outputs, model.weights, path)


def _load_saved_model(path):
    loaded = tf.saved_model.load(path)
    signature = loaded.signatures.get("serving_default")
    if signature is None:
        raise ValueError(
            "A SavedModel is called by its signature `serving_default`. "
            f"Received: path={str(path)!r} with {list(loaded.signatures)}; "
            "save it with that signature."
        )
    specs = signature.structured_input_signature[1]
    if hasattr(loaded, "serve"):  # Written by `export`.
        (concrete,) = loaded.serve.concrete_functions
        (inputs,), _ = concrete.structured_input_signature
    else:
        inputs = specs if len(specs) > 1 else next(iter(specs.values()))
    names = {spec.name: name for name, spec in specs.items()}

    def call(values):
        keras.tree.assert_same_structure(inputs, values)
        pairs = zip(_named(inputs), keras.tree.flatten(values), strict=True)
        # `loaded` keeps the variables alive.
        return loaded.signatures["serving_default"](
            **{names[name]: tf.convert_to_tensor(x) for name, x in pairs}
        )

    outputs = signature.structured_outputs
    return _served(call, inputs, outputs, signature.variables, path)


def _served(call, inputs, outputs, weights, path):
    return Served(
        call=call,
        inputs=inputs,
        outputs={
            name: tf.TensorSpec(output.shape, output.dtype, name)
            for name, output in outputs.items()
        },
        params=sum(math.prod(v.shape) for v in weights),
        path=path,
    )
