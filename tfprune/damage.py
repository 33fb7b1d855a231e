"""What dropping units does one layer ahead, while a model trains.

The damage is measured at the outputs of the layers that read the units: the
squared change as a share of the squared output (Ding et al., 2019, Approximated
Oracle Filter Pruning, section 3.2).
"""

import collections
from typing import NamedTuple

import keras
from keras import tree
import numpy as np
import tensorflow as tf

from tfprune import masking
from tfprune import program
from tfprune.rules import base


class Target(NamedTuple):
    """Units that lie in the same places, and the calls that tell their damage.

    Attributes:
        name: The layer that they are listed under.
        units: int, [units].
        gates: {path: the units of the mask there, an array of its shape}.
        carriers: The `Call`s that pass the units on, in order.
        scorers: For each layer that reads the units and returns others, its
            `Call` and those that normalise or rectify its output, a list.
    """

    name: str
    units: np.ndarray
    gates: dict
    carriers: list
    scorers: list


class Damage:
    """Measures what dropping units of all targets does, of each for itself.

    A target is ablated at its gates, whose undamaged outputs are multiplied
    with the units that are kept, and what that does ends at the layers that
    read it. So no target sees what others, or the layers before, have lost.

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.

    Attributes:
        targets: A `Target` for each group of two prunable units or more that
            a layer reads.
    """

    def __init__(self, masked, graph):
        self._masked = masked
        self._program = program.program(masked)
        calls = list(_with_nodes(self._program.calls, graph))
        follower = _followers(self._program)
        found = [
            _target(name, graph.groups.members(group), graph, calls, follower)
            for group, name in graph.group_names.items()
        ]
        self.targets = [x for x in found if x.scorers and len(x.units) > 1]

    def ablating(self, kept):
        """Returns the masked model as a layer that measures the damage, too.

        Its one call, in training mode, returns what the model does and sets
        `change` and `size`, float32 [targets]: the sums over all outputs of
        the scorers, and all examples, of the squared change and the square.

        Args:
            kept: float [num_units], 0 for the units to drop and 1 for others.
        """
        return _Ablating(self, self._masked, kept)

    def run(self, inputs):
        """Runs the model; returns its outputs, and the values of all tensors.

        Args:
            inputs: A batch of its inputs.
        """
        code = self._program
        given = program.flat_inputs(self._masked, inputs)
        values = {
            id(tensor): keras.ops.convert_to_tensor(value, tensor.dtype)
            for tensor, value in zip(code.inputs, given, strict=True)
        }
        program.replay(code.calls, values, _call)
        return tree.map_structure(lambda x: values[id(x)], code.outputs), values

    def ablate(self, values, seeds, kept):
        """Returns `change` and `size` of all targets.

        Args:
            values: What `run` returned of all tensors.
            seeds: Pairs of each variable of random numbers and its value
                before `run`.
            kept: As for `ablating`.
        """
        kept = tf.concat([kept, [1.0]], 0)  # Channels without a unit stay.
        pairs = []
        for target in self.targets:
            # One after another, for they take less memory so.
            with tf.control_dependencies(pairs[-1] if pairs else ()):
                # The same random numbers again; no moving statistic moves.
                with keras.StatelessScope(seeds):
                    pairs.append(_ablate(target, values, kept))
        change, size = zip(*pairs)
        return tf.stack(change), tf.stack(size)


class _Ablating(keras.layers.Layer):
    def __init__(self, damage, masked, kept):
        super().__init__(name=masked.name, autocast=False)
        self.masked = masked
        self.built = True
        self._damage = damage
        self._kept = kept

    def call(self, inputs):
        weights = set(map(id, self.masked.weights))
        seeds = [
            (variable, tf.identity(variable.value))
            for variable in self.masked.variables
            if id(variable) not in weights
        ]
        outputs, values = self._damage.run(inputs)
        self.change, self.size = self._damage.ablate(
            values, seeds, self._kept
        )
        return outputs


def _call(call, *args, **kwargs):
    if "training" in kwargs:  # As a model does with what it has recorded.
        kwargs["training"] = True
    return call.layer(*args, **kwargs)


def _ablate(target, values, kept):
    """Returns the squared change and the square of what a target's damage is.

    Both are halved.
    """
    after = dict(values)

    def mask(call):
        return tf.gather(kept, target.gates[call.path] % kept.shape[0])

    def carry(call, *args, **kwargs):
        if call.path not in target.gates:
            return _call(call, *args, **kwargs)
        outputs = values[id(call.outputs[0])]
        return outputs * tf.cast(mask(call), outputs.dtype)

    def score(call, *args, **kwargs):
        if call.path not in target.gates:
            return _call(call, *args, **kwargs)
        with call.layer.shut(mask(call)):
            return _call(call, *args, **kwargs)

    program.replay(target.carriers, after, carry)
    changes, sizes = [], []
    for chain in target.scorers:
        ends = dict(after)
        program.replay(chain, ends, score)
        for tensor in chain[-1].outputs:
            old, new = (
                tf.cast(x[id(tensor)], tf.float32) for x in (values, ends)
            )
            changes.append(tf.nn.l2_loss(old - new))
            sizes.append(tf.nn.l2_loss(old))
    return tf.add_n(changes), tf.add_n(sizes)


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
        if not masks and changed.isdisjoint(map(id, call.inputs)):
            continue
        if any(np.isin(array, units).any() for array in node.outputs):
            carriers.append(call)
            changed.update(map(id, call.outputs))
        else:
            chain = [call]
            while id(chain[-1]) in follower:
                chain.append(follower[id(chain[-1])])
            scorers.append(chain)
    return Target(name, units, gates, carriers, scorers)


def _with_nodes(calls, graph):
    """Yields the calls of a masked model, each with its `Node`.

    That of a mask which follows a layer is the node of the layer.
    """
    nodes = collections.defaultdict(list)
    for node in graph.nodes:
        nodes[node.path].append(node)
    seen = collections.Counter()
    for call in calls:
        after = masking.follows(call.layer)
        path = call.path.removesuffix("_mask") if after else call.path
        yield call, nodes[path][seen[call.path]]
        seen[call.path] += 1


def _followers(code):
    """Returns {id of a call: the only one that reads what it returns}.

    Only those count that leave the shape as it is and mix no channels.
    """
    readers = collections.defaultdict(list)
    for call in code.calls:
        for tensor in call.inputs:
            readers[id(tensor)].append(call)
    for tensor in tree.flatten(code.outputs):
        readers[id(tensor)].append(None)
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
