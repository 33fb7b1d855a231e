"""Unit numbers for every channel of every tensor and variable of a model."""

from keras import tree
import numpy as np

from tfprune import graph as graph_lib
from tfprune import program
from tfprune import units as units_lib
from tfprune.rules import base
from tfprune.rules import nodes as nodes_lib


def trace(model, frozen=(), streams=True):
    """Returns the `ChannelGraph` of a model, which is left as it is.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        frozen: Names of layers whose output channels must stay; `*`, `?` and
            `[]` match as in file names. A layer of a nested model is
            `outer/inner`; the heads of an attention are `name/value_dense`.
        streams: Whether residual streams may lose channels: what layers and
            operations return that add up tensors. Defaults to True.

    Returns:
        A `ChannelGraph`; tracing again gives the same unit numbers.

    Raises:
        ValueError: If the model is subclassed or not built, if `frozen` is no
            tuple of names that match layers, or if a rule gives units that do
            not fit its layer.
    """
    return trace_program(program.program(model), frozen, streams)


def trace_program(code, frozen=(), streams=True):
    """Returns the `ChannelGraph` of a `Program`.

    Args:
        code: What `program.program` made of a model.
        frozen: As for `trace`.
        streams: As for `trace`.

    Raises:
        ValueError: As for `trace`, if `frozen` or a rule does not fit.
    """
    units, nodes = units_lib.Units(base.REASONS), []
    units_of = {}  # by `id` of a symbolic tensor
    inputs = {}  # by the name of the layer
    for name, tensor in zip(code.input_names, code.inputs):
        shape = tensor.shape[1:] or (1,)
        array = units.new(shape[-1] or 1)
        units.freeze(array, base.INPUT)
        lengths = (1,) * (len(tensor.shape) - 2) + (-1,)
        array = array.reshape(lengths[: len(tensor.shape) - 1])
        units_of[id(tensor)] = inputs[name] = array
    for call in code.calls:
        nodes.append(_visit(call, units, units_of))
    _tie_calls(nodes, units)
    for tensor in tree.flatten(code.outputs):
        units.freeze(units_of[id(tensor)], base.OUTPUT)
    if not isinstance(frozen, (tuple, list)):
        text = isinstance(frozen, str)
        meant = f"; did you mean ({frozen!r},)?" if text else ""
        raise ValueError(
            "`frozen` must be a tuple of names. "
            f"Received: frozen={frozen!r}{meant}"
        )
    for pattern in frozen:
        for _, arrays in nodes_lib.named(nodes, pattern, "frozen"):
            for array in arrays:
                units.freeze(array, base.USER)
    if not streams:
        _freeze_streams(nodes, units)
    _freeze_alone(nodes, units)
    _freeze_inside(nodes, units)
    return graph_lib.ChannelGraph(code, inputs, nodes, units)


def explain(model):
    """Returns what may be pruned in a model, and why the rest may not.

    Args:
        model: A built Functional or Sequential `keras.Model`.

    Returns:
        An `Explanation`; `print` shows it as a table.

    Raises:
        ValueError: As for `trace`.
    """
    return trace(model).explain()


def _visit(call, units, units_of):
    node = nodes_lib.Node(call, units, [units_of[id(x)] for x in call.inputs])
    rule = base.rule_for(call.layer)
    node.outputs = rule.outputs(node)
    _check_outputs(node, rule)
    for tensor, array in zip(call.outputs, node.outputs):
        units_of[id(tensor)] = array
    node.inner, node.inside = rule.inner, rule.inside(node)
    node.axes = rule.axes(node)
    _check_axes(node, rule)
    if len(node.outputs) > 1 and rule.leaks(node):  # A layer has one mask.
        for array in node.outputs:
            units.freeze(array, base.NO_RULE)
    return node


def _check_outputs(node, rule):
    """Raises an error if the units do not fit the outputs of a call."""
    given, shapes = node.outputs, node.output_shapes
    if not isinstance(given, (list, tuple)) or not (
        len(given) == len(shapes) and all(map(_broadcasts, given, shapes))
    ):
        raise ValueError(
            "`outputs` of a rule must return an int array for each output, "
            "which broadcasts to one example of it and has as many axes. "
            f"Received: {given} from {type(rule).__name__} for layer "
            f"{node.path!r}, whose outputs have the shapes {shapes}."
        )


def _broadcasts(units, shape):
    return (
        isinstance(units, np.ndarray)
        and np.issubdtype(units.dtype, np.integer)
        and units.ndim == len(shape)
        and all(n == 1 or m in (n, None) for n, m in zip(units.shape, shape))
    )


def _check_axes(node, rule):
    """Raises an error if the axes are not those of the layer's variables."""
    if not isinstance(node.axes, dict):
        raise ValueError(
            "`axes` of a rule must return a dict {name of a variable: axes}. "
            f"Received: {node.axes!r} from {type(rule).__name__} for layer "
            f"{node.path!r}."
        )
    weights = getattr(node.layer, "weights", ())
    variables = {id(x) for x in weights}
    for name in {**node.axes, **dict.fromkeys(rule.kernels)}:
        variable, axes = base.variable(node.layer, name), node.axes.get(name)
        if variable is None and axes is not None:  # Such as an unused bias.
            continue
        if id(variable) not in variables or not _lie_on(axes, variable.shape):
            raise ValueError(
                "`axes` of a rule must hold variables of the layer, all of "
                "`kernels` among them, by the names of their attributes, with "
                "the units of each axis, [length], or None. "
                f"Received: {name!r}: {axes} from {type(rule).__name__} for "
                f"layer {node.path!r}, whose weights have the shapes "
                f"{ {x.name: tuple(x.shape) for x in weights} }."
            )


def _lie_on(axes, shape):
    return (
        isinstance(axes, tuple)
        and len(axes) == len(shape)
        and all(x is None or np.shape(x) == (n,) for x, n in zip(axes, shape))
    )


def _tie_calls(nodes, units):
    """Ties what all calls of a shared layer have in common.

    These are the axes of its variables; of its outputs too if it has a mask or
    a config that depends on them; in a nested model, which has one shape for
    all of its calls, of every tensor.
    """
    first = {}
    for node in nodes:
        other = first.setdefault(id(node.layer), node)
        if other is node:
            continue
        for name, axes in node.axes.items():
            for a, b in zip(axes, other.axes[name]):
                if a is not None:
                    units.tie(a, b)
        rule, nested = base.rule_for(node.layer), "/" in node.path
        if nested or rule.leaks(node) or rule.config(node, np.size):
            _tie_tensors(node.outputs, other.outputs, units)
        if nested:
            _tie_tensors(node.inputs, other.inputs, units)


def _tie_tensors(first, second, units):
    for a, b in zip(first, second):
        if a.shape == b.shape:
            units.tie(a, b)
        else:
            units.freeze(a, base.SHAPE)
            units.freeze(b, base.SHAPE)


def _freeze_streams(nodes, units):
    for node in nodes:
        if base.rule_for(node.layer).sums and len(node.inputs) > 1:
            for array in node.outputs:
                units.freeze(array, base.STREAM)


def _freeze_alone(nodes, units):
    """Freezes each unit that is all that some layer has."""
    for node in nodes:
        for array in sum(node.arrays.values(), []):
            if units.alone(array):
                units.freeze(array, base.SHAPE)


def _freeze_inside(nodes, units):
    """Freezes units that nothing carries that a mask could shut."""
    resolved, _, _ = units.numbers()
    carried = [a for node in nodes for a in sum(node.arrays.values(), [])]
    outside = np.zeros(len(resolved) + 1, bool)  # The last one is -1.
    for array in carried:
        outside[resolved[array]] = True
    for node in nodes:
        for axes in node.axes.values():
            for array in (x for x in axes if x is not None):
                inside = array[~outside[resolved[array]]]
                units.freeze(inside, base.INSIDE)
