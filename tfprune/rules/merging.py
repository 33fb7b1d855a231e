"""Rules of the layers that join several tensors."""

import keras
from keras import layers
from keras import tree
import numpy as np
import tensorflow as tf

from tfprune.rules import base
from tfprune.rules import pointwise


class Elementwise(base.Rule):
    """Arithmetic on tensors of shapes that broadcast; ties what meets."""

    passes = True

    def outputs(self, node):
        if not pointwise.maskable(self._at_zero(node)):
            for units in node.inputs:
                node.freeze(units, base.NO_RULE)
        whole = []
        for units, spread in zip(_raised(node), _spread(node)):
            if spread:
                node.freeze(units, base.SHAPE)
            else:
                whole.append(units)
        return [node.tie(*whole)]

    def arguments(self, node, args, keep):
        units = node.outputs[0]

        def sliced(value):
            leaves = tree.flatten(value)
            if any(isinstance(x, keras.KerasTensor) for x in leaves):
                return value
            value = np.asarray(value)
            for axis in range(-min(value.ndim, units.ndim), 0):
                if value.shape[axis] > 1 < units.shape[axis]:
                    rows = np.moveaxis(keep(units), axis, 0)
                    along = rows.reshape(len(rows), -1).any(axis=1)
                    value = np.compress(along, value, axis)
            return value

        return tuple(map(sliced, args))

    def leaks(self, node):
        return bool(np.any(self._at_zero(node)))

    def _at_zero(self, node):
        """Returns outputs at zero, whatever single channels are spread."""
        spread = _spread(node)

        def output(number):
            values = iter(np.where(spread, number, 0.0))

            def value(x):
                if not isinstance(x, keras.KerasTensor):
                    return x
                whole = tf.fill([1] * len(x.shape), next(values))
                return tf.cast(whole, x.dtype)

            args, kwargs = tree.map_structure(value, (node.args, node.kwargs))
            return np.asarray(node.layer.call(*args, **kwargs))

        numbers = (-2.0, 0.0, 1.0) if any(spread) else (0.0,)
        return np.stack([output(number) for number in numbers])


class Sum(Elementwise):
    """Arithmetic that adds up what meets, as at the end of a residual."""

    sums = True


class Concatenate(base.Rule):
    """Puts the channels of its inputs side by side."""

    passes = True

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


def _raised(node):
    """Returns the units of the inputs, all of the rank of the output."""
    rank = len(node.output_shapes[0])
    return [x.reshape((1,) * (rank - x.ndim) + x.shape) for x in node.inputs]


def _spread(node):
    """Returns which inputs have one channel, spread over those of another."""
    arrays, rank = _raised(node), len(node.output_shapes[0])
    most = np.max([x.shape for x in arrays], axis=0)
    shapes = [(1,) * (rank - len(s)) + s for s in node.input_shapes]
    return [
        any(length == 1 < n for length, n in zip(shape, most))
        for shape in shapes
    ]


for _kind in (layers.Add, layers.Average, layers.Subtract):
    base.register_rule(_kind, Sum())
for _kind in (layers.Maximum, layers.Minimum, layers.Multiply):
    base.register_rule(_kind, Elementwise())
base.register_rule(layers.Concatenate, Concatenate())
base.register_operations(
    "Arctan2 Divide DivideNoNan Equal FloorDivide Fmax Fmin Fmod Greater "
    "GreaterEqual Heaviside Hypot Less LessEqual Logaddexp Logaddexp2 "
    "LogicalAnd LogicalOr LogicalXor Maximum Minimum Mod Multiply Nextafter "
    "NotEqual Power TrueDivide Where",
    Elementwise(),
)
base.register_operations("Add CustomScaleLayer Subtract", Sum())
base.register_operations("Concatenate", Concatenate())
