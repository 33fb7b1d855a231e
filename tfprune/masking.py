"""Models that carry the masks of their channels."""

import collections
import glob

import keras
from keras import tree
import numpy as np

from tfprune import graph as graph_lib
from tfprune import program
from tfprune import rebuilding
from tfprune import tracing
from tfprune.layers import channel_mask
from tfprune.layers import head_mask
from tfprune.rules import base


def mask_model(model, graph=None):
    """Returns a copy of a model that carries masks, all of them open.

    The copy has weights of its own and the same layer names. A wrapper holds
    the mask of each layer that could make a masked channel non-zero; an
    operation that does so, or a layer of several tensors, is followed by a
    layer `<name>_mask`.

    Args:
        model: A built Functional or Sequential `keras.Model`.
        graph: Its `ChannelGraph`. Defaults to a new trace.

    Raises:
        ValueError: If the model carries masks already, or cannot be read.
    """
    if is_masked(model):
        raise ValueError(
            "`model` must carry no masks yet. "
            f"Received: {model.name!r}, which does. Use `set_mask` to change "
            "them, or `compact(masked)` to remove what they shut."
        )
    graph = tracing.trace(model) if graph is None else graph
    gates = collections.defaultdict(list)  # by `id` of the layer
    for gate in graph.gates.values():
        gates[id(gate.node.layer)].append(gate)
    copies, masks = {}, {}

    def make(layer):
        new = copies[layer] = rebuilding.copy(layer)
        for gate in gates[id(layer)]:
            shape = gate.units.shape
            if gate.inside:
                inner = gate.node.inner
                new = head_mask.HeadMask(new, shape, inner, name=layer.name)
            elif gate.wraps:
                new = channel_mask.ChannelMask(new, shape, name=layer.name)
            else:
                masks[layer] = _following(layer, shape)
        return new

    def call(old, new, args, kwargs):
        outputs = new(*args, **kwargs)
        return masks[old](outputs) if old in masks else outputs

    masked = rebuilding.rebuild(model, make, call)
    rebuilding.transfer(copies)
    return masked


def set_mask(masked, graph, keep):
    """Opens and shuts the masks of a model.

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.
        keep: bool, [num_units], True for the units that stay.

    Raises:
        ValueError: If `keep` does not fit the graph, removes a frozen unit, or
            empties a layer; or if the masks are not those of the graph.
    """
    keep = graph.check(keep)
    for layer, units in list(masks_of(masked, graph)):  # all or none
        layer.mask.assign(graph_lib.stays(keep, units))


def get_mask(masked, graph):
    """Returns which units of a masked model stay, bool [num_units].

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.

    Raises:
        ValueError: If the masks are not those of the graph.
    """
    keep = np.ones(graph.num_units + 1, bool)
    for layer, units in masks_of(masked, graph):
        keep[units[keras.ops.convert_to_numpy(layer.mask) == 0]] = False
    return keep[:-1]


def variable_masks(masked, graph, keep):
    """Yields what a mask leaves of each trained variable.

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.
        keep: bool, [num_units].

    Yields:
        `(variable, mask)`, the mask a float array of the variable's shape, for
        every variable that has units on an axis.
    """
    layers = program.layers_by_path(masked)
    for node in graph.node_of.values():
        for name, axes in node.axes.items():
            variable = base.variable(unwrapped(layers[node.path]), name)
            if variable is None:
                continue
            mask = np.ones(variable.shape, "float32")
            for axis, units in enumerate(axes):
                if units is not None:
                    rows = graph_lib.stays(keep, units)
                    mask *= np.moveaxis(
                        rows.reshape(-1, *(1,) * (mask.ndim - 1)), 0, axis
                    )
            yield variable, mask


def rebuild_unmasked(model, make, call):
    """Does what `rebuilding.rebuild` does, and leaves out masks.

    Args:
        model: A masked model, or any other.
        make: Function from a layer without its mask to the one in its place.
        call: As for `rebuild`; given layers without their masks.
    """

    def make_inner(layer):
        return make(unwrapped(layer))

    def call_inner(old, new, args, kwargs):
        if follows(old):
            return args[0]
        return call(unwrapped(old), new, args, _accepted(old, kwargs))

    return rebuilding.rebuild(model, make_inner, call_inner)


def is_masked(model):
    """Whether a model carries masks."""
    return any(
        isinstance(layer, channel_mask.ChannelMask)
        for layer in program.layers_by_path(model).values()
    )


def plain_paths(masked):
    """Returns the paths of the layers of a model that a copy of it has, too.

    The masks that follow a layer, and the inputs, are not among them.
    """
    return {
        path
        for path, layer in program.layers_by_path(masked).items()
        if not (follows(layer) or isinstance(layer, keras.layers.InputLayer))
    }


def trace_masked(masked):
    """Returns the `ChannelGraph` of a masked model without its masks.

    Its layers are those inside of the masks. Layers that carry no mask are
    those that were frozen on request.
    """
    code = _unmasked(program.program(masked))
    graph = tracing.trace_program(code)
    layers = program.layers_by_path(masked)
    frozen = [
        glob.escape(_carrier(gate))
        for path, gate in graph.gates.items()
        if not isinstance(layers.get(path), channel_mask.ChannelMask)
    ]
    return tracing.trace_program(code, frozen) if frozen else graph


def unwrapped(layer):
    """Returns the layer inside a `ChannelMask`, or the layer itself."""
    return layer.layer if isinstance(layer, channel_mask.ChannelMask) else layer


def follows(layer):
    """Whether a layer is a mask after its layer, and not around it."""
    return isinstance(layer, channel_mask.ChannelMask) and isinstance(
        layer.layer, keras.layers.Identity
    )


def masks_of(masked, graph):
    """Yields every `ChannelMask` of a model with its units.

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.

    Raises:
        ValueError: If the model lacks one of the masks of the graph, or has
            one of another shape.
    """
    layers = program.layers_by_path(masked)
    for path, gate in graph.gates.items():
        layer, units = layers.get(path), gate.units
        if not (
            isinstance(layer, channel_mask.ChannelMask)
            and layer.mask_shape == units.shape
        ):
            raise ValueError(
                "`masked` must be made by `mask_model` from the model of "
                f"`graph`. Received: {masked.name!r} without a mask of shape "
                f"{units.shape} at {path!r}."
            )
        yield layer, units


def _following(layer, shape):
    """Returns the mask after a layer."""
    name = f"{layer.name}_mask"
    identity = keras.layers.Identity(name=name, autocast=False)
    return channel_mask.ChannelMask(identity, shape, name=name)


def _carrier(gate):
    """Returns the name in `frozen` of what a gate masks."""
    return [*gate.node.arrays][-1 if gate.inside else 0]


def _unmasked(code):
    """Returns the `Program` of a masked model without its masks."""
    calls, before = [], {}  # what a mask was given, by `id` of what it gave

    def past(nest):
        return tree.map_structure(lambda x: before.get(id(x), x), nest)

    for call in code.calls:
        args, kwargs = past((call.args, call.kwargs))
        if follows(call.layer):
            before[id(call.outputs[0])] = args[0]
            continue
        kwargs = _accepted(call.layer, kwargs)
        layer = unwrapped(call.layer)
        calls.append(call._replace(layer=layer, args=args, kwargs=kwargs))
    return code._replace(outputs=past(code.outputs), calls=calls)


def _accepted(layer, kwargs):
    """Returns those arguments that a layer takes without its mask."""
    if isinstance(layer, channel_mask.ChannelMask):
        return layer.accepted(kwargs)
    return kwargs
