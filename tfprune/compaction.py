"""Smaller models without the units that a mask removed."""

import keras
import numpy as np

from tfprune import graph as graph_lib
from tfprune import masking
from tfprune import rebuilding
from tfprune import verification
from tfprune.rules import base


def compact(model, graph=None, keep=None, verify_on=None):
    """Returns a plain model without the units that are not kept.

    The result is compared with the masked model before it is returned; so is
    `model` with the masks open.

    Args:
        model: A masked model; or any other, with `graph` and `keep`.
        graph: The `ChannelGraph` of the model.
        keep: bool, [num_units], True for the units that stay.
        verify_on: Inputs to compare the two models on. Defaults to two random
            examples.

    Returns:
        A `keras.Model` with the same layer names and no class of tfprune.

    Raises:
        ValueError: If `keep` does not fit, or empties a layer.
        VerificationError: If the result computes something else, or `model`
            does; names the layer where the two models part.
    """
    if (graph is None) != (keep is None):
        raise ValueError(
            "`graph` and `keep` must be given together, or neither with a "
            f"masked model. Received: graph={graph}, keep={keep}."
        )
    if graph is None:
        if not masking.is_masked(model):
            raise ValueError(
                "`model` must be a masked model, or come with `graph` and "
                f"`keep`. Received: {model.name!r}, which has no masks."
            )
        proof = verification.Proof(model, verify_on)
    else:
        keep = graph.check(keep)
        masked = masking.mask_model(model, graph)
        proof = verification.Proof(masked, verify_on)
        proof.verify_copy(model)
        masking.set_mask(masked, graph, keep)
    small, _ = proven(proof)
    return small


def proven(proof):
    """Returns `compact` of the masked model of a `Proof`, and how near it is.

    Args:
        proof: A `Proof`.

    Returns:
        `(small, figures)`, the figures those of `verify`.

    Raises:
        ValueError: As for `compact`.
        VerificationError: The same.
    """
    graph = masking.trace_masked(proof.masked)
    small = shrink(proof.masked, graph, masking.get_mask(proof.masked, graph))
    return small, proof.verify(small)


def shrink(model, graph, keep):
    """Returns `compact(model, graph, keep)` without the comparison.

    Args:
        model: A masked model with the graph of `trace_masked`, or any other.
        graph: Its `ChannelGraph`.
        keep: As for `compact`.
    """
    keep = graph.check(keep)
    copies, nodes = {}, graph.node_of

    def stays(units):
        return graph_lib.stays(keep, units)

    def make(layer):
        if layer in nodes:
            config = resized(nodes[layer], stays)
            copies[layer] = type(layer).from_config(config)
        else:
            copies[layer] = rebuilding.copy(layer)
        return copies[layer]

    def call(old, new, args, kwargs):
        rule = base.rule_for(old)
        args = rule.arguments(nodes[old], args, stays)
        return new(*args, **kwargs)

    small = masking.rebuild_unmasked(model, make, call)
    axes = {}  # by `id` of a variable
    for layer, node in nodes.items():
        for name, units in node.axes.items():
            axes[id(base.variable(layer, name))] = units

    def part(variable):
        value = variable
        for axis, units in enumerate(axes.get(id(variable), ())):
            if units is not None:
                places = np.flatnonzero(stays(units))
                value = keras.ops.take(value, places, axis)
        return value

    rebuilding.transfer(copies, part)
    return small


def resized(node, stays):
    """Returns the config of a layer without the units that do not stay.

    Args:
        node: The first call of the layer.
        stays: Function from an array of units to bools of its shape.
    """
    config = node.layer.get_config()
    rule = base.rule_for(node.layer)
    config.update(rule.config(node, lambda units: int(stays(units).sum())))
    config.update(_initializers(node.layer, config))
    return config


def _initializers(layer, config):
    """Returns others for those of a layer that would fix the old shape.

    The weights are transferred, so it does not matter what they begin with.
    """
    values = {name: getattr(layer, name, None) for name in config}
    return {
        name: "zeros"
        for name, value in values.items()
        if isinstance(value, keras.initializers.Constant)
        and np.ndim(value.value)
    }
