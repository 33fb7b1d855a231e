"""Unit numbers for every channel of every tensor and variable of a model."""

import fnmatch

from keras import tree
import numpy as np

from tfprune import graph as graph_lib
from tfprune import program
from tfprune import units as units_lib
from tfprune.rules import base


def trace(model, frozen=()):
    """Returns the `ChannelGraph` of a model, which is left as it is.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        frozen: Names of layers whose output channels must stay; `*` and `?`
            match as in file names. A layer of a nested model is
            `outer/inner`.

    Returns:
        A `ChannelGraph`; tracing again gives the same unit numbers.

    Raises:
        ValueError: If the model is subclassed or not built, or if `frozen` is
            no tuple of names that match layers.
    """
    code = program.program(model)
    units, nodes = units_lib.Units(), []
    units_of = {}  # by `id` of a symbolic tensor
    for tensor in code.inputs:
        shape = tensor.shape[1:] or (1,)
        array = units.new(shape[-1] or 1)
        units.freeze(array, base.INPUT)
        lengths = (1,) * (len(tensor.shape) - 2) + (-1,)
        units_of[id(tensor)] = array.reshape(lengths[: len(tensor.shape) - 1])
    for call in code.calls:
        nodes.append(_visit(call, units, units_of))
    _tie_calls(nodes, units)
    for tensor in tree.flatten(code.outputs):
        units.freeze(units_of[id(tensor)], base.OUTPUT)
    if isinstance(frozen, str):
        raise ValueError(
            "`frozen` must be a tuple of names. "
            f"Received: frozen={frozen!r}; did you mean ({frozen!r},)?"
        )
    for pattern in frozen:
        _freeze_named(pattern, nodes, units)
    _freeze_alone(nodes, units)
    return graph_lib.ChannelGraph(code, nodes, units)


def explain(model):
    """Returns what may be pruned in a model, and why the rest may not.

    Args:
        model: A built Functional or Sequential `keras.Model`.

    Returns:
        An `Explanation`; `print` shows it as a table.
    """
    return trace(model).explain()


def _visit(call, units, units_of):
    node = base.Node(call, units, [units_of[id(x)] for x in call.inputs])
    rule = base.rule_for(call.layer)
    node.outputs = rule.outputs(node)
    for tensor, array in zip(call.outputs, node.outputs):
        units_of[id(tensor)] = array
    node.axes = rule.axes(node)
    if len(node.outputs) > 1 and rule.leaks(node):  # A layer has one mask.
        for array in node.outputs:
            units.freeze(array, base.NO_RULE)
    return node


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


def _freeze_named(pattern, nodes, units):
    named = [n for n in nodes if fnmatch.fnmatchcase(n.path, pattern)]
    if not named:
        raise ValueError(
            "`frozen` must name layers of the model. Received: "
            f"{pattern!r}, which matches none of {[n.path for n in nodes]}."
        )
    for node in named:
        for array in node.outputs:
            units.freeze(array, base.USER)


def _freeze_alone(nodes, units):
    """Freezes each unit that is all that some layer has."""
    for node in nodes:
        for array in node.outputs:
            if units.alone(array):
                units.freeze(array, base.SHAPE)
