"""A Keras model as the list of its calls, nested models unrolled."""

import collections
from typing import NamedTuple

import keras
from keras import tree

from tfprune import feeds


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
    input_names: list  # of their layers
    outputs: object  # one `KerasTensor`, or a nest as the model returns it
    calls: list  # of `Call`

    def readers(self):
        """Returns the calls that read each tensor, {`id` of it: list}.

        None is among them if the model returns the tensor.
        """
        found = collections.defaultdict(list)
        for call in self.calls:
            for tensor in call.inputs:
                found[id(tensor)].append(call)
        for tensor in tree.flatten(self.outputs):
            found[id(tensor)].append(None)
        return found


def program(model):
    """Returns the `Program` of a built Functional or Sequential model.

    Args:
        model: A `keras.Model`; it is left as it is.

    Raises:
        ValueError: If the model is subclassed, has a `call` of its own, or is
            not built yet.
    """
    check(model)
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
        values = dict(
            zip(map(id, inner.inputs), feeds.nested_inputs(layer, args, kwargs))
        )
        replay(
            inner.calls,
            values,
            lambda call, *a, **k: record(
                f"{layer.name}/{call.path}", call.layer, a, k
            ),
        )
        return tree.map_structure(lambda x: values[id(x)], inner.outputs)

    if isinstance(model, keras.Sequential):
        x = y = input_like(model.inputs[0], model.inputs[0].shape)
        for layer in model.layers:
            y = visit(layer, y)
        return Program([x], [x.name], y, calls)
    walked = walk(model, visit)
    names = {
        id(layer.output): layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.InputLayer)
    }
    names = [names[id(x)] for x in model.inputs]
    return Program(walked.inputs, names, walked.output, calls)


def walk(model, visit, inputs=None):
    """Returns a Functional model like another, made of what `visit` returns.

    Args:
        model: A Functional model.
        visit: Function `(layer, *args, **kwargs)` that returns the outputs of
            a call; it is given all calls in topological order.
        inputs: List of `KerasTensor`s to begin with. Defaults to new ones.
    """
    if inputs is not None:
        inputs = tree.pack_sequence_as(model.input, inputs)
    return keras.models.clone_model(
        # It would compile the clone too, which fails for a lambda loss.
        keras.Model(model.input, model.output, name=model.name),
        input_tensors=inputs,
        clone_function=lambda layer: layer,
        call_function=visit,
    )


def input_like(tensor, shape):
    """Returns a new input of the name and type of `tensor`."""
    return keras.Input(batch_shape=shape, dtype=tensor.dtype, name=tensor.name)


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


def infer(code, inputs):
    """Returns the value of every tensor in inference mode, by its `id`.

    Args:
        code: A `Program`.
        inputs: A tensor for each of its inputs.
    """
    values = dict(zip(map(id, code.inputs), inputs, strict=True))
    replay(code.calls, values, lambda call, *a, **k: call.layer(*a, **k))
    return values


def layers_by_path(model):
    """Returns {path: layer} of a model and all models nested in it."""
    check(model)
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


def keras_name(layer):
    """Returns the name of the class of a layer or operation of Keras itself.

    None for others, which may be called the same.
    """
    kind = type(layer)
    return kind.__name__ if kind.__module__.startswith("keras.") else None


def check(model):
    """Raises an error if a model cannot be read.

    Raises:
        ValueError: As for `program`.
    """
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


class _Placeholder(keras.Operation):
    """Gives a recorded call its symbolic outputs."""

    def __init__(self, spec):
        super().__init__()
        self.spec = spec

    def compute_output_spec(self, inputs):
        return self.spec
