"""Rules of the layers that join several tensors."""

import keras
from keras import layers
from keras import tree
import numpy as np
import tensorflow as tf

from tfprune.rules import base


class Elementwise(base.Rule):
    """Arithmetic on tensors of shapes that broadcast; ties what meets."""

    def outputs(self, node):
        if not np.isfinite(self._at_zero(node)).all():
            for units in node.inputs:
                node.freeze(units, base.NO_RULE)
        rank = len(node.output_shapes[0])
        arrays, shapes = zip(*(
            _raised(units, shape, rank)
            for units, shape in zip(node.inputs, node.input_shapes)
        ))
        whole = [
            units
            for units, shape in zip(arrays, shapes)
            if not self._stretched(node, units, shape, arrays)
        ]
        return [node.tie(*whole)]

    def _stretched(self, node, units, shape, arrays):
        """Freezes the single channel that is spread over all of another."""
        stretched = any(
            length == 1 < max(x.shape[axis] for x in arrays)
            for axis, length in enumerate(shape)
        )
        if stretched:
            node.freeze(units, base.SHAPE)
        return stretched

    def arguments(self, node, args, keep):
        units = node.outputs[0]

        def sliced(value):
            leaves = tree.flatten(value)
            if any(isinstance(x, keras.KerasTensor) for x in leaves):
                return value
            value = np.asarray(value)
            for axis in range(-min(value.ndim, units.ndim), 0):
                if value.shape[axis] > 1 < units.shape[axis]:
                    along = np.moveaxis(units, axis, -1).ravel()
                    value = np.compress(keep(along), value, axis)
            return value

        return tuple(map(sliced, args))

    def leaks(self, node):
        return bool(np.any(self._at_zero(node)))

    def _at_zero(self, node):
        if isinstance(node.layer, keras.layers.Layer):
            return np.zeros(1)
        return np.asarray(node.layer.call(*map(_zeros_like, node.args)))


class Concatenate(base.Rule):
    """Puts the channels of its inputs side by side."""

    def outputs(self, node):
        rank = len(node.output_shapes[0])
        axis = node.layer.axis % (rank + 1) - 1
        if axis < 0:  # The batch.
            return super().outputs(node)
        varies = any(units.shape[axis] > 1 for units in node.inputs)
        if axis != rank - 1 and not varies:
            return [node.tie(*node.inputs)]
        parts = [
            np.repeat(units, shape[axis], axis)
            if units.shape[axis] == 1
            else units
            for units, shape in zip(node.inputs, node.input_shapes)
        ]
        for other in range(rank):
            if other != axis:
                parts = [node.merge(part, other) for part in parts]
        return [np.concatenate(parts, axis)]

    def leaks(self, node):
        return False


def _zeros_like(value):
    if isinstance(value, keras.KerasTensor):
        return tf.zeros([1] * len(value.shape), value.dtype)
    return value


def _raised(units, shape, rank):
    missing = (1,) * (rank - len(shape))
    return units.reshape(missing + units.shape), missing + tuple(shape)


for _kind in (
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
):
    base.register_rule(_kind, Elementwise())
base.register_rule(layers.Concatenate, Concatenate())
base.register_operations(
    "Add Subtract Multiply Divide TrueDivide DivideNoNan Maximum Minimum Power "
    "FloorDivide Arctan2 Hypot Logaddexp",
    Elementwise(),
)
base.register_operations("Concatenate", Concatenate())
