"""A Keras model as the list of its calls, nested models unrolled."""

from typing import NamedTuple

import keras
from keras import tree


class Call(NamedTuple):
    """One call of a layer or operation, on symbolic tensors."""

    path: str  # "layer", or "outer/layer" inside a nested model
    layer: keras.Operation
    args: tuple
    kwargs: dict
    outputs: list  # of `KerasTensor`

    @property
    def inputs(self):
        """The symbolic tensors among the arguments, in their order."""
        leaves = tree.flatten((self.args, self.kwargs))
        return [x for x in leaves if isinstance(x, keras.KerasTensor)]


class Program(NamedTuple):
    """The calls of a model in topological order."""

    inputs: list  # of `KerasTensor`
    outputs: object  # one `KerasTensor`, or a nest as the model returns it
    calls: list  # of `Call`


def program(model):
    """Returns the `Program` of a built Functional or Sequential model.

    Args:
        model: A `keras.Model`; it is left as it is.

    Raises:
        ValueError: If the model is subclassed, has a `call` of its own, or is
            not built yet.
    """
    _check(model)
    calls = []

    def record(path, layer, args, kwargs):
        spec = layer.compute_output_spec(*args, **kwargs)
        tensors = Call(path, layer, args, kwargs, []).inputs
        outputs = _Placeholder(spec)(tensors)
        calls.append(Call(path, layer, args, kwargs, tree.flatten(outputs)))
        return outputs

    def visit(layer, *args, **kwargs):
        if not is_graph(layer):
            return record(layer.name, layer, args, kwargs)
        inner = program(layer)
        given = flat_inputs(layer, _first(args, kwargs))
        values = dict(zip(map(id, inner.inputs), given))
        replay(
            inner.calls,
            values,
            lambda call, *a, **k: record(
                f"{layer.name}/{call.path}", call.layer, a, k
            ),
        )
        return tree.map_structure(lambda x: values[id(x)], inner.outputs)

    if isinstance(model, keras.Sequential):
        x = y = _input_like(model.inputs[0], model.inputs[0].shape)
        for layer in model.layers:
            y = visit(layer, y)
        return Program([x], y, calls)
    walked = keras.models.clone_model(
        _uncompiled(model),
        clone_function=lambda layer: layer,
        call_function=visit,
    )
    return Program(walked.inputs, walked.output, calls)


def flat_inputs(model, inputs):
    """Returns what a model is called with in the order of its `inputs`.

    Keras takes a dict by the names of the inputs where the model was not built
    of one, and all else as it lies flat.

    Args:
        model: A built Functional or Sequential model.
        inputs: A tensor, or a nest of them.

    Raises:
        ValueError: If a dict lacks an input.
    """
    of_dict = not isinstance(model, keras.Sequential) and isinstance(
        model.input, dict
    )
    if of_dict or not isinstance(inputs, dict):
        return tree.flatten(inputs)
    names = [tensor.name for tensor in model.inputs]
    if not inputs.keys() >= set(names):
        raise ValueError(
            f"Inputs in a dict must have the names of those of the model, "
            f"{names}. Received: {sorted(inputs)}."
        )
    return [inputs[name] for name in names]


def replay(calls, values, run):
    """Runs calls in order, on any kind of tensor.

    Args:
        calls: `Call`s in topological order.
        values: dict from the `id` of a symbolic tensor to its value; filled
            with the outputs of every call.
        run: Function `(call, *args, **kwargs)` that returns the outputs.
    """
    for call in calls:
        args, kwargs = tree.map_structure(
            lambda x: values.get(id(x), x), (call.args, call.kwargs)
        )
        outputs = tree.flatten(run(call, *args, **kwargs))
        values.update(zip(map(id, call.outputs), outputs))


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
    _check(model)
    made = {}  # by `id` of the old layer

    def renew(layer, args, kwargs):
        if id(layer) not in made:
            made[id(layer)] = (
                clone(layer, flat_inputs(layer, _first(args, kwargs)))
                if is_graph(layer)
                else _made(make, layer)
            )
        return made[id(layer)]

    def call_new(layer, *args, **kwargs):
        new = renew(layer, args, kwargs)
        if call is None or is_graph(layer):
            return new(*args, **kwargs)
        return call(layer, new, args, kwargs)

    def clone(model, inputs):
        inputs = [
            _input_like(old, new.shape)
            for old, new in zip(model.inputs, inputs)
        ]
        if isinstance(model, keras.Sequential):
            new = keras.Sequential(inputs, name=model.name)
            for layer in model.layers:
                before = new.outputs if new.layers else inputs
                new.add(renew(layer, before, {}))
            return new
        return keras.models.clone_model(
            _uncompiled(model),
            input_tensors=tree.pack_sequence_as(model.input, inputs),
            clone_function=lambda layer: layer,
            call_function=call_new,
        )

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


def layers_by_path(model):
    """Returns {path: layer} of a model and all models nested in it."""
    _check(model)
    layers = {}
    for layer in model.layers:
        if is_graph(layer):
            for path, inner in layers_by_path(layer).items():
                layers[f"{layer.name}/{path}"] = inner
        else:
            layers[layer.name] = layer
    return layers


def is_graph(layer):
    """Whether a layer is a Functional or Sequential model.

    One of a subclass with a `call` of its own is not: it need not compute
    what its graph says.
    """
    if not isinstance(layer, (keras.Function, keras.Sequential)):
        return False
    owner = next(kind for kind in type(layer).__mro__ if "call" in vars(kind))
    return owner.__module__.startswith("keras.")


def _check(model):
    if not isinstance(model, keras.Model):
        raise ValueError(
            "`model` must be a keras.Model of Keras 3. "
            f"Received: {type(model).__module__}.{type(model).__name__}."
        )
    if not is_graph(model):
        raise ValueError(
            "`model` must be a Functional or Sequential model, because the "
            "calls of a subclassed model, or of one with its own `call`, "
            f"cannot be read. Received: {type(model).__name__}. Build the same "
            "layers with "
            "`keras.Model(inputs, outputs)`, or prune the Functional parts."
        )
    if not model.built or not model.inputs:
        raise ValueError(
            f"`model` must be built. Received: the unbuilt {model.name!r}. "
            "Call `model.build(input_shape)` or begin it with `keras.Input`."
        )


def _first(args, kwargs):
    return args[0] if args else kwargs["inputs"]


def _input_like(tensor, shape):
    return keras.Input(batch_shape=shape, dtype=tensor.dtype, name=tensor.name)


def _uncompiled(model):
    # `clone_model` would compile the clone too, which fails for a lambda loss.
    return keras.Model(model.input, model.output, name=model.name)


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


class _Placeholder(keras.Operation):
    """Gives a recorded call its symbolic outputs."""

    def __init__(self, spec):
        super().__init__()
        self.spec = spec

    def compute_output_spec(self, inputs):
        return self.spec
