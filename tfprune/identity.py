"""What tells one run from another: its model, data and settings, as text."""

import functools
import hashlib
import inspect
import json

import keras
from keras import tree
import numpy as np
import tensorflow as tf

from tfprune import program


def describe(model, dataset, trained, **settings):
    """Returns what a run depends on, a text that is the same in any process.

    A layer is described by its type, shapes and a digest of its settings, not
    by its name, which Keras numbers. A setting is described by the arguments
    of its constructor, found as attributes, or by its `get_config`.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        dataset: The dataset that it is trained on; none of it is read.
        trained: Whether the weights of the model count. Those that are yet to
            be trained do not: they may be random.
        **settings: All else that the run depends on.

    Returns:
        JSON with one line for each fact, so that two of them can be compared.

    Raises:
        ValueError: If the model is subclassed or not built yet.
    """
    facts = {"model": _layers(model)}
    if trained:
        facts["weights"] = _digest(*map(_bytes, model.weights))
    facts["dataset"] = _plain(dataset)
    return json.dumps({**facts, **_plain(settings)}, indent=1)


def _layers(model):
    """Returns a line for each input and each call of a layer."""
    code = program.program(model)
    numbers = {}  # of tensors and layers, by `id`
    lines = []
    for tensor in code.inputs:
        numbers[id(tensor)] = len(numbers)
        lines.append(f"Input {tensor.shape} {tensor.dtype}")
    for call in code.calls:
        arguments = tree.map_structure(
            lambda x: f"tensor {numbers[id(x)]}"
            if isinstance(x, keras.KerasTensor)
            else _plain(x),
            (call.args, call.kwargs),
        )
        layer = numbers.setdefault(id(call.layer), len(numbers))
        for tensor in call.outputs:
            numbers[id(tensor)] = len(numbers)
        rest = json.dumps([layer, arguments, _settings(call.layer)])
        shapes = ", ".join(str(tensor.shape) for tensor in call.outputs)
        name = type(call.layer).__name__
        lines.append(f"{name} {shapes} {_digest(rest.encode())}")
    outputs = [numbers[id(tensor)] for tensor in tree.flatten(code.outputs)]
    return [*lines, f"Output {outputs}"]


def _plain(value):
    """Returns a value in the types of JSON."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in _nameless(value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, keras.Model):
        return _layers(value)
    if isinstance(value, tf.data.Dataset):
        return f"{int(value.cardinality())} of {value.element_spec}"
    if isinstance(value, functools.partial):
        return _plain([value.func, value.args, value.keywords])
    if isinstance(value, type) or inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "__array__"):
        return _array(np.asarray(value))
    return {_plain(type(value)): _settings(value)}


def _array(value):
    if value.ndim == 0:
        return value.item()
    return f"{value.dtype} {value.shape} {_digest(_bytes(value))}"


def _settings(value):
    """Returns the settings of an object, {name: value}."""
    try:
        config = value.get_config()
    except (AttributeError, NotImplementedError):
        parameters = inspect.signature(type(value).__init__).parameters
        config = {
            name: getattr(value, name, getattr(value, f"_{name}", None))
            for name in list(parameters)[1:]
        }
    return _plain({k: v for k, v in config.items() if k != "name"})


def _nameless(config):
    """Returns the config of a layer inside of another without its name."""
    if {"name", "trainable"} <= config.keys():
        return {k: v for k, v in config.items() if k != "name"}
    return config


def _bytes(weight):
    return keras.ops.convert_to_numpy(weight).tobytes()


def _digest(*contents):
    return hashlib.sha256(b"".join(contents)).hexdigest()[:12]
