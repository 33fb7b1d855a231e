"""What tells one run from another: its model, data and settings, as text."""

import json

import keras
from keras import tree
import tensorflow as tf

from tfprune import canonical
from tfprune import constructors
from tfprune import program


def describe(model, dataset, trained, **settings):
    """Returns the identity of a run, a text that is the same in any process.

    A layer counts with its type, shapes and a digest of its settings, not with
    its name, which Keras numbers. A dataset, also among the settings, counts
    with its length and the types and shapes of its elements. Nothing of it is
    read, for that would turn a shuffle: one of other examples looks the same.
    For all else see `canonical.describe`.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        dataset: The `tf.data.Dataset` that it is trained on.
        trained: Whether the weights of the model count. Those that are yet to
            be trained do not: they may be random.
        **settings: All else that the run depends on.

    Returns:
        JSON with one line for each fact, so that two of them can be compared.

    Raises:
        ValueError: If the model is subclassed or not built yet, or if a
            setting does not tell what it is made of; names the setting.
    """
    code = program.program(model)
    facts = {"model": _told("model", _layers, code)}
    if trained:
        facts["weights"] = _weights(model)
    for name, value in {"dataset": dataset, **settings}.items():
        facts[name] = _told(name, canonical.describe, value, (model,))
    return json.dumps(facts, indent=1)


@canonical.form.register
def _(value: tf.data.Dataset, inner):
    return f"{int(value.cardinality())} of {value.element_spec}"


@canonical.form.register
def _(value: keras.Model, inner):
    return [*_layers(program.program(value)), _weights(value)]


def _told(name, function, *args):
    """Returns what a function says of the setting `name`."""
    try:
        return function(*args)
    except ValueError as error:
        raise ValueError(
            "Each setting must tell what it is made of, so that its run can be "
            f"told from others. Received: `{name}` with {error}. Keep it "
            "there, or pass `config`, a text of your own that says how the run "
            "is set up."
        ) from error


def _layers(code):
    """Returns a line for each input and each call of a layer."""
    numbers = {}  # of tensors and layers, by `id`
    lines = []
    for tensor in code.inputs:
        numbers[id(tensor)] = len(numbers)
        lines.append(f"Input {tensor.shape} {tensor.dtype}")
    for call in code.calls:
        arguments = tree.map_structure(
            lambda x: f"tensor {numbers[id(x)]}"
            if isinstance(x, keras.KerasTensor)
            else x,
            (call.args, call.kwargs),
        )
        layer = numbers.setdefault(id(call.layer), len(numbers))
        for tensor in call.outputs:
            numbers[id(tensor)] = len(numbers)
        settings = constructors.arguments(call.layer)
        facts = canonical.describe([layer, arguments, settings])
        rest = json.dumps(facts)
        shapes = ", ".join(str(tensor.shape) for tensor in call.outputs)
        name = type(call.layer).__name__
        lines.append(f"{name} {shapes} {canonical.digest(rest.encode())}")
    outputs = [numbers[id(tensor)] for tensor in tree.flatten(code.outputs)]
    return [*lines, f"Output {outputs}"]


def _weights(model):
    arrays = map(keras.ops.convert_to_numpy, model.weights)
    return canonical.digest(*(array.tobytes() for array in arrays))
