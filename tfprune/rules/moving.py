"""Rules of what moves, repeats, parts and stacks the elements of tensors.

What such an operation does to a tensor, it does to the units of the tensor.
"""

from keras import layers
import numpy as np

from tfprune.rules import base
from tfprune.rules import pointwise


class Moved(base.Rule):
    """An operation that does the same to any number of channels."""

    passes = True

    def outputs(self, node):
        units = node.inputs[0]
        # Two examples, told apart by the sign: neither may reach the other.
        both = np.asarray(node.layer.call(np.stack([units, ~units])))
        moved = both[0]
        if len(both) != 2 or (moved < 0).any() or (both[1] != ~moved).any():
            return super().outputs(node)
        for axis, length in enumerate(node.output_shapes[0]):
            if _alike(moved, axis) or moved.shape[axis] not in (1, length):
                moved = node.merge(moved, axis)
        return [moved]

    def leaks(self, node):
        return False


class MovedPlaces(Moved):
    """An operation of which fewer channels would make another one."""

    def outputs(self, node):
        (units,) = super().outputs(node)
        if not np.array_equal(units, node.inputs[0]):
            node.freeze(node.inputs[0], base.SHAPE)
        return [units]


class Repeat(Moved):
    """`ops.repeat` of every channel, or position, equally often."""

    def outputs(self, node):
        if np.size(node.layer.repeats) > 1:
            return base.Rule.outputs(self, node)
        return super().outputs(node)


class DepthToSpace(Moved):
    """`ops.depth_to_space`: ties the channels that become a block."""

    def outputs(self, node):
        (units,) = super().outputs(node)
        channels = pointwise.channel_axis(node.layer) % units.ndim
        for axis in range(units.ndim):
            if axis != channels:
                units = node.merge(units, axis)
        return [units]


class SpaceToDepth(Moved):
    """`ops.space_to_depth`: each place of a block repeats the channels."""

    def outputs(self, node):
        axis = pointwise.channel_axis(node.layer)
        row = np.tile(node.channels(axis), node.layer.block_size**2)
        return [node.along(row, axis)]


class BroadcastTo(base.Rule):
    """`ops.broadcast_to`: new axes, and longer ones of positions."""

    def outputs(self, node):
        units, rank = node.inputs[0], len(node.output_shapes[0])
        return [units.reshape((1,) * (rank - units.ndim) + units.shape)]

    def config(self, node, kept):
        batch, *lengths = node.layer.shape
        units = node.outputs[0]
        for axis in np.flatnonzero(np.array(units.shape) > 1):
            lengths[axis] = kept(np.moveaxis(units, axis, 0).ravel())
        return {"shape": (batch, *lengths)}

    def leaks(self, node):
        return False


class Split(base.Rule):
    """`ops.split`: parts of channels, each of any width, or of positions."""

    passes = True

    def outputs(self, node):
        units, axis = node.inputs[0], _axis(node)
        if axis < 0:
            return super().outputs(node)
        if units.shape[axis] > 1:
            return self.parts(node, axis)
        if units.ndim > len(node.output_shapes[0]):
            units = np.squeeze(units, axis)
        return [units] * len(node.output_shapes)

    def parts(self, node, axis):
        """Returns the units of each output where the channels are parted."""
        parts = np.split(node.channels(axis), self._ends(node, axis))
        return [node.along(part, axis) for part in parts]

    def config(self, node, kept):
        axis = _axis(node)
        if node.inputs[0].shape[axis] == 1 or len(node.outputs) == 1:
            return {}
        ends = np.cumsum([kept(units) for units in node.outputs])
        return {"indices_or_sections": ends[:-1].tolist()}

    def leaks(self, node):
        return False

    def _ends(self, node, axis):
        lengths = [shape[axis] for shape in node.output_shapes]
        return np.cumsum(lengths)[:-1]


class Parts(Split):
    """`ops.unstack`, `ops.array_split`: parts of a fixed width."""

    def parts(self, node, axis):
        node.freeze(node.inputs[0], base.SHAPE)
        parts = node.layer.call(node.inputs[0][None])
        return [np.asarray(part)[0] for part in parts]

    def config(self, node, kept):
        return {}


class Stack(base.Rule):
    """`ops.stack`: ties what lies at the same place of a new axis."""

    passes = True

    def outputs(self, node):
        axis = _axis(node)
        if axis < 0:
            return super().outputs(node)
        return [np.expand_dims(node.tie(*node.inputs), axis)]

    def leaks(self, node):
        return False


class Glu(base.Rule):
    """`ops.glu`: ties every channel to its gate."""

    def outputs(self, node):
        units, axis = node.inputs[0], _axis(node)
        if axis < 0:
            return super().outputs(node)
        if units.shape[axis] == 1:
            return [units]
        return [node.tie(*np.split(units, 2, axis))]

    def leaks(self, node):
        return False


def _alike(units, axis):
    """Whether an axis before the last one does not tell units apart."""
    first = units.take([0], axis)
    return axis < units.ndim - 1 and bool((units == first).all())


def _axis(node):
    """Returns the axis of an operation, the batch not counted."""
    rank = max(len(node.input_shapes[0]), len(node.output_shapes[0])) + 1
    return node.layer.axis % rank - 1


base.register_rule(layers.Permute, Moved())
base.register_rule(layers.RepeatVector, Moved())
base.register_operations(
    "Flip Moveaxis Rot90 Swapaxes Tile Transpose", Moved()
)
base.register_operations("Roll", MovedPlaces())
base.register_operations("Repeat", Repeat())
base.register_operations("DepthToSpace", DepthToSpace())
base.register_operations("SpaceToDepth", SpaceToDepth())
base.register_operations("BroadcastTo", BroadcastTo())
base.register_operations("Split", Split())
base.register_operations("ArraySplit Unstack", Parts())
base.register_operations("Stack", Stack())
base.register_operations("Glu", Glu())
