"""Models of the same topology made of other layers, and of copies."""

import keras

from tfprune import feeds
from tfprune import program


def rebuild(model, make, call=None):
    """Returns a new model of the same topology made of other layers.

    Args:
        model: A built Functional or Sequential model.
        make: Function from a layer or operation to the one in its place; called
            once for each. Nested models are rebuilt around their own layers.
        call: Function `(old, new, args, kwargs)` that calls `new` and returns
            its outputs. Defaults to `new(*args, **kwargs)`.

    Raises:
        ValueError: If a layer cannot be made again; names the layer.
    """
    _check_unshared(model)
    made = {}  # by `id` of the old layer

    def renew(layer, args, kwargs):
        if id(layer) not in made:
            made[id(layer)] = (
                clone(layer, feeds.nested_inputs(layer, args, kwargs))
                if program.is_graph(layer)
                else _made(make, layer)
            )
        return made[id(layer)]

    def call_new(layer, *args, **kwargs):
        new = renew(layer, args, kwargs)
        if call is None or program.is_graph(layer):
            return new(*args, **kwargs)
        return call(layer, new, args, kwargs)

    def clone(model, inputs):
        inputs = [
            program.input_like(old, new.shape)
            for old, new in zip(model.inputs, inputs)
        ]
        if isinstance(model, keras.Sequential):
            new = keras.Sequential(inputs, name=model.name)
            for layer in model.layers:
                before = new.outputs if new.layers else inputs
                new.add(renew(layer, before, {}))
            return new
        return program.walk(model, call_new, inputs)

    return clone(model, model.inputs)


def copy(layer):
    """Returns a new layer or operation with the same config."""
    return type(layer).from_config(layer.get_config())


def duplicate(model):
    """Returns a copy of a model with weights of its own, of the same values."""
    copies = {}

    def make(layer):
        copies[layer] = copy(layer)
        return copies[layer]

    again = rebuild(model, make)
    transfer(copies)
    return again


def transfer(copies, part=lambda variable: variable):
    """Gives the layers of a rebuilt model the weights of the old ones.

    What is not trained of a layer is not trained of the new one either.

    Args:
        copies: dict from an old layer to the new one.
        part: Function from a variable of an old layer to the value of the same
            one of the new layer. Defaults to all of it.

    Raises:
        ValueError: If the values do not fit a new layer; names it.
    """
    for old, new in copies.items():
        if not isinstance(old, keras.layers.Layer):
            continue
        values = [part(variable) for variable in old.weights]
        _check_fit(old, values, new)
        for a, value, b in zip(old.weights, values, new.weights):
            b.assign(value)
            b.trainable = a.trainable
        if isinstance(new, keras.layers.Normalization):
            new.finalize_state()


def _check_unshared(model):
    """Raises an error if layers share a variable; a copy would have two."""
    owners = {}  # by `id` of a variable
    for path, layer in program.layers_by_path(model).items():
        for variable in layer.weights:
            owner = owners.setdefault(id(variable), layer)
            if owner is not layer:
                raise ValueError(
                    "The layers of a model must not share variables: its "
                    f"config does not hold that. Received: layer {path!r} with "
                    f"variable {variable.name!r} of layer {owner.name!r}. Call "
                    "one layer twice, or give each variables of its own."
                )


def _made(make, layer):
    try:
        return make(layer)
    except Exception as error:
        raise ValueError(
            f"Layer {layer.name!r} of type {type(layer).__name__} cannot be "
            "rebuilt from its config. Give it a `get_config` that holds all "
            "arguments of `__init__`, and register classes and functions of "
            "your own with `keras.saving.register_keras_serializable`: a "
            "`custom_object_scope` and `enable_unsafe_deserialization` hold "
            f"for one thread, and a run has several. Received: {error}"
        ) from error


def _check_fit(layer, values, new):
    left = [tuple(value.shape) for value in values]
    made = [tuple(variable.shape) for variable in new.weights]
    if left != made:
        raise ValueError(
            "What is left of the weights of a layer must fit the layer that "
            f"its config makes. Received: layer {layer.name!r} of type "
            f"{type(layer).__name__} with weights of shape {left} for those "
            f"of shape {made}. Let its `get_config` hold all sizes, and its "
            "rule tell by `axes` and `config` what depends on the units."
        )
