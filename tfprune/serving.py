"""Models as they are served: inputs in, outputs by their names out."""

import itertools
import math
import pathlib
import re
from typing import Callable
from typing import NamedTuple

import keras
import tensorflow as tf


CONSTANT_BYTES = 2**27  # Above, a dozen copies would be too much memory.
# The scopes of the constants of a graph that are weights, and other state.
WEIGHTS, STATES = "frozen_weights/", "frozen_states/"


class Served(NamedTuple):
    """A model read from disk, ready for inference.

    Attributes:
        call: Function from the inputs to {name: output}.
        input: `tf.TensorSpec`s, structured as `call` takes the inputs.
        outputs: {name: `tf.TensorSpec`}.
        params: Number of weights that `call` reads.
        path: The file or version folder it was read from, if any.
    """

    call: Callable
    input: object
    outputs: dict
    params: int
    path: pathlib.Path | None


def endpoint(model):
    """Returns the inference function of a model, inputs -> {name: output}.

    Its weights are those of `fixed`.

    Args:
        model: Built Functional or Sequential model.

    Returns:
        A `tf.function` with the signature of the model's inputs, for a batch
        of any size.

    Raises:
        ValueError: If the model or a name cannot be served.
    """
    model = _functional(model)
    specs = keras.tree.map_structure(
        lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype, x.name),
        model.input,
    )
    call = fixed(model, specs)

    def serve(inputs):  # A SavedModel has several traces of this one.
        outputs = keras.tree.flatten(call(inputs))
        return dict(zip(_output_names(model), outputs, strict=True))

    return tf.function(serve, input_signature=[specs], autograph=False)


def served(model, path=None):
    """Returns a model as `Served`.

    Args:
        model: Built Functional or Sequential model.
        path: The file it was read from. Defaults to None.

    Raises:
        ValueError: If the model or a name cannot be served.
    """
    call = endpoint(model)
    outputs = call.get_concrete_function().structured_outputs
    (inputs,) = call.input_signature
    return _served(call, inputs, outputs, model.count_params(), path)


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
        return served(keras.saving.load_model(path, compile=False), path)
    versions = [path] if _is_saved_model(path) else _versions(path)
    if not versions:
        raise FileNotFoundError(
            f"A model is a `.keras` file, a SavedModel, or a folder with "
            f"numbered SavedModels. Received: path={str(path)!r}, which is "
            f"none of them; give the output folder of a finished run."
        )
    return _load_saved_model(versions[-1])


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


def fixed(model, specs):
    """Returns the inference function of a model, as it is served.

    Its weights are constants of their present values, which TensorFlow brings
    into the order that its kernels read once, and variables at each call. Those
    of a model of more than 128 MiB stay variables, and are read at each call,
    because a constant is kept in about a dozen copies.

    Args:
        model: Built Functional or Sequential model.
        specs: `tf.TensorSpec`s, structured as its inputs.

    Returns:
        A concrete function from the inputs to the outputs.
    """
    variables = model.trainable_variables, model.non_trainable_variables
    values = keras.tree.map_structure(keras.ops.convert_to_numpy, variables)
    size = sum(value.nbytes for value in keras.tree.flatten(values))
    weights = {id(weight) for weight in model.weights}

    def constant(variable, value):
        with tf.name_scope(WEIGHTS if id(variable) in weights else STATES):
            return tf.constant(value)

    def call(inputs):
        if size > CONSTANT_BYTES:
            return model(inputs, training=False)
        constants = keras.tree.map_structure(constant, variables, values)
        outputs, _ = model.stateless_call(*constants, inputs, training=False)
        return outputs

    function = tf.function(call, input_signature=[specs], autograph=False)
    return function.get_concrete_function()


def _output_names(model):
    keys = sorted(model.output) if isinstance(model.output, dict) else []
    return keys if len(keys) == len(model.outputs) else model.output_names


def _check_names(what, names):
    valid = all(re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9_.-]*", n) for n in names)
    if not valid or len(set(names)) < len(names):
        raise ValueError(
            f"{what} need different names of letters, digits, `_`, `-` or `.` "
            f"to be served. Received: {names}; rename the layers, or give the "
            f"model a dict of them."
        )


def _named(specs):
    return {spec.name: spec for spec in keras.tree.flatten(specs)}


def _versions(path):
    """Returns the version folders in `path`, the newest last."""
    folders = [p for p in path.glob("*") if p.name.isdecimal()]
    return sorted(filter(_is_saved_model, folders), key=lambda p: int(p.name))


def _is_saved_model(path):
    return (path / "saved_model.pb").is_file()


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
    return _served(call, inputs, outputs, _params(signature), path)


def _params(signature):
    """Returns the number of weights of a SavedModel: variables, constants."""
    graph = signature.graph.as_graph_def()
    inside = (f.node_def for f in graph.library.function)
    constants = [
        [axis.size for axis in node.attr["value"].tensor.tensor_shape.dim]
        for node in itertools.chain(graph.node, *inside)
        if node.op == "Const" and node.name.startswith(WEIGHTS)
    ]
    variables = [variable.shape for variable in signature.variables]
    return sum(map(math.prod, constants + variables))


def _served(call, inputs, outputs, params, path):
    return Served(
        call=call,
        input=inputs,
        outputs={
            name: tf.TensorSpec(output.shape, output.dtype, name)
            for name, output in outputs.items()
        },
        params=params,
        path=path,
    )
