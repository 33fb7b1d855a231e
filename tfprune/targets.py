"""The groups of units that can be ablated, and the layers that tell of it."""

import collections
from typing import NamedTuple

import numpy as np

from tfprune import masking
from tfprune.rules import base


class Target(NamedTuple):
    """Units that lie in the same places, and the calls that tell their damage.

    Attributes:
        name: The layer that they are listed under.
        units: int, [units].
        place: How many layers with a kernel come before that one.
        gates: {path: the units of the mask there, an array of its shape}.
        carriers: The `Call`s that pass the units on, in order.
        scorers: For each layer that reads the units and returns others, its
            `Call` and those that normalise or rectify its output, a list.
    """

    name: str
    units: np.ndarray
    place: int
    gates: dict
    carriers: list
    scorers: list


def find(code, graph):
    """Returns a `Target` for each group of prunable units.

    Args:
        code: The `Program` of a masked model.
        graph: The `ChannelGraph` of the model it was made from.
    """
    calls, follower = list(_with_nodes(code, graph)), _followers(code)
    return [
        _target(name, graph.groups.members(group), graph, calls, follower)
        for group, name in graph.group_names.items()
    ]


def _target(name, units, graph, calls, follower):
    """Returns the `Target` of some units.

    Args:
        name: As in `Target`.
        units: The same.
        graph: The `ChannelGraph`.
        calls: Pairs of a `Call` of the masked model and its `Node`.
        follower: {id of a call: the one that goes on with its channels}.
    """
    gates = {
        path: gate.units
        for path, gate in graph.gates.items()
        if np.isin(gate.units, units).any()
    }
    carriers, scorers, changed = [], [], set()
    for call, node in calls:
        masks = call.path in gates
        changes = not changed.isdisjoint(map(id, call.inputs))
        carries = any(np.isin(array, units).any() for array in node.outputs)
        mixes = not masking.follows(call.layer) and _mixes(node, units)
        if changes and mixes or (changes or masks) and not carries:
            chain = [call]
            while id(chain[-1]) in follower:
                chain.append(follower[id(chain[-1])])
            scorers.append(chain)
        if carries and (masks or changes and not mixes):
            carriers.append(call)
            changed.update(map(id, call.outputs))
    place = _place(graph.owners[units[0]], graph)
    return Target(name, units, place, gates, carriers, scorers)


def _place(name, graph):
    """Returns how many layers with a kernel come before one."""
    kernels = 0
    for node in graph.node_of.values():
        if name in node.arrays:
            return kernels
        kernels += bool(base.rule_for(node.layer).kernels)


def _mixes(node, units):
    """Whether the kernels of a layer read some units, and write them too."""
    kernels = base.rule_for(node.layer).kernels
    axes = [x for name in kernels for x in node.axes.get(name, ())]
    return sum(x is not None and np.isin(x, units).any() for x in axes) > 1


def _with_nodes(code, graph):
    """Yields the calls of a masked model, each with its `Node`.

    That of a mask which follows a layer is the node of the layer.

    Args:
        code: The `Program` of the masked model.
        graph: The `ChannelGraph` of the model it was made from.
    """
    nodes = collections.defaultdict(collections.deque)
    for node, call in zip(graph.nodes, graph.program.calls, strict=True):
        nodes[call.path, *map(id, call.inputs)].append((node, call))
    # By `id` of a tensor of the masked model: that of the other, and its node.
    twins = dict(zip(map(id, code.inputs), map(id, graph.program.inputs)))
    made_by = {}
    for call in code.calls:
        before = [twins[id(x)] for x in call.inputs]
        if masking.follows(call.layer):
            node, outputs = made_by[before[0]], before
        else:
            node, twin = nodes[call.path, *before].popleft()
            outputs = list(map(id, twin.outputs))
        twins.update(zip(map(id, call.outputs), outputs))
        made_by.update(dict.fromkeys(outputs, node))
        yield call, node


def _followers(code):
    """Returns {id of a call: the only one that reads what it returns}.

    Only those count that leave the shape as it is and mix no channels.
    """
    readers = code.readers()
    return {
        id(call): readers[id(call.outputs[0])][0]
        for call in code.calls
        if _goes_on(call, readers[id(call.outputs[0])])
    }


def _goes_on(call, readers):
    if len(call.outputs) > 1 or len(readers) != 1 or readers[0] is None:
        return False
    (reader,) = readers
    rule = base.rule_for(masking.unwrapped(reader.layer))
    alike = reader.outputs[0].shape == call.outputs[0].shape
    return rule.pointwise and not rule.kernels and alike
