"""The places in a model where masks sit."""

import collections
import functools
import itertools
from typing import NamedTuple

import keras
import numpy as np

from tfprune.rules import base
from tfprune.rules import nodes as nodes_lib
from tfprune.rules import pointwise


class Gate(NamedTuple):
    """The place where the mask of some units sits."""

    node: nodes_lib.Node
    chain: tuple  # of the `Node`s that lead to it, from the one with a kernel
    wraps: bool  # whether the layer can be wrapped; else the mask follows it
    inside: bool = False  # whether it is the output of the layer inside of it
    after: tuple = ()  # `Node`s of the activations that alone read it

    @property
    def path(self):
        """Path of the layer of a masked model that holds the mask."""
        within = self.wraps or self.inside
        return self.node.path if within else f"{self.node.path}_mask"

    @property
    def units(self):
        """The units of the mask, an array of its shape."""
        return self.node.inside if self.inside else self.node.outputs[0]


def find(code, nodes, prunable):
    """Returns the `Gate`s by their paths: all masks that prunable units need.

    A layer that makes a masked channel non-zero needs a mask after it, unless
    all that its output reaches, channel by channel, is a layer that has one: a
    convolution and its batch normalisation share the latter's.

    Args:
        code: The `Program` of a model.
        nodes: A `Node` for each of its calls.
        prunable: bool, [num_units].
    """
    followers = _followers(code, nodes)
    gates = {}

    def add(*gate):
        gate = Gate(*gate)
        gates.setdefault(gate.path, gate)

    for node in nodes:
        if node.inside is not None and prunable[node.inside].any():
            add(node, (node,), False, True)
        if _leaks(node, prunable):
            chain = [node]
            while (after := followers[id(chain[-1])]) is not None:
                chain.append(after)
            rest = []
            while not _leaks(chain[-1], prunable):
                rest.insert(0, chain.pop())
            last, wraps = chain[-1], _wraps(chain[-1].layer, nodes)
            after = tuple(itertools.takewhile(_is_activation, rest))
            add(last, tuple(chain), wraps, False, after)
    return gates


def by_places(units, prunable):
    """Returns {paths of gates: the prunable units that have just these}.

    Args:
        units: {path of a gate: its units}.
        prunable: bool, [num_units].
    """
    paths = collections.defaultdict(list)
    for path, array in units.items():
        for unit in np.unique(array[array >= 0]):
            paths[int(unit)].append(path)
    groups = collections.defaultdict(list)
    for unit in np.flatnonzero(prunable).tolist():
        groups[tuple(paths[unit])].append(unit)
    return {key: np.array(group, "int32") for key, group in groups.items()}


def in_a_row(code, graph):
    """Returns how many masks of a unit follow each other, int [num_units].

    It is the most on any path on which the channel stays apart from others, as
    through a depthwise convolution: what passes is multiplied by all of them.

    Args:
        code: The `Program` of a masked model.
        graph: The `ChannelGraph` of the model it was made from.
    """
    mixing = {node.path for node in graph.nodes if _mixes(node)}
    none = np.zeros(graph.num_units, "uint8")
    passed = collections.defaultdict(lambda: none)  # by `id` of the tensor
    most = none
    for call in code.calls:
        rows = none
        if call.path not in mixing and call.inputs:
            before = [passed[id(tensor)] for tensor in call.inputs]
            rows = functools.reduce(np.maximum, before)
        if call.path in graph.gates:
            units = graph.gates[call.path].units
            rows = rows.copy()
            rows[np.unique(units[units >= 0])] += 1
            most = np.maximum(most, rows)
        passed.update(dict.fromkeys(map(id, call.outputs), rows))
    return most


def _mixes(node):
    """Whether a kernel of a layer reads some channels and writes others."""
    return any(
        sum(units is not None for units in node.axes.get(name, ())) > 1
        for name in base.rule_for(node.layer).kernels
    )


def _followers(code, nodes):
    """Returns {id of a node: that which passes its channels on, or None}."""
    readers = code.readers()
    node_of = {id(call): node for call, node in zip(code.calls, nodes)}
    return {
        id(node): node_of.get(id(_follower(readers[id(call.outputs[0])])))
        for call, node in zip(code.calls, nodes)
    }


def _follower(readers):
    """Returns the one reader that passes channels on as they are, or None."""
    if len(readers) != 1 or readers[0] is None:
        return None
    rule = base.rule_for(readers[0].layer)
    return readers[0] if rule.pointwise and not rule.kernels else None


def _is_activation(node):
    """Whether a layer is a function of each number alone."""
    return isinstance(base.rule_for(node.layer), pointwise.Activation)


def _leaks(node, prunable):
    """Whether a layer makes numbers of channels that are masked."""
    masked = any(prunable[x[x >= 0]].any() for x in node.outputs)
    return masked and base.rule_for(node.layer).leaks(node)


def _wraps(layer, nodes):
    """Whether all calls of a layer are those of a layer of one tensor."""
    return isinstance(layer, keras.layers.Layer) and all(
        len(node.args) == 1 and node.kwargs.keys() <= {"training", "mask"}
        for node in nodes
        if node.layer is layer
    )
