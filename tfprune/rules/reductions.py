"""Rule of the layers that make one value of many."""

import keras
from keras import layers
import numpy as np
import tensorflow as tf

from tfprune.rules import base
from tfprune.rules import pointwise


class Reduction(base.Rule):
    """Global pooling and reductions over positions, not over channels."""

    passes = True

    def outputs(self, node):
        units = node.inputs[0]
        axes = self._axes(node)
        if axes is None or any(units.shape[axis] > 1 for axis in axes):
            node.freeze(units, base.NORMALISED)
            return [node.merge_all(units, len(node.output_shapes[0]))]
        if node.layer.keepdims:
            return [units]
        return [np.squeeze(units, tuple(axes))]

    def leaks(self, node):
        if isinstance(node.layer, keras.layers.Layer):
            return False
        shape = (1, *(length or 2 for length in node.input_shapes[0]))
        return bool(np.any(node.layer.call(tf.zeros(shape))))

    def _axes(self, node):
        """Returns the reduced axes of an example, None if the batch is one."""
        rank = node.inputs[0].ndim
        if isinstance(node.layer, keras.layers.Layer):
            channels = pointwise.channel_axis(node.layer) % rank
            return [axis for axis in range(rank) if axis != channels]
        axes = node.layer.axis
        if axes is None:
            return None
        axes = axes if isinstance(axes, (list, tuple)) else [axes]
        axes = [axis % (rank + 1) - 1 for axis in axes]
        return None if -1 in axes else axes


for _kind in (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
):
    base.register_rule(_kind, Reduction())
base.register_operations(
    "Amax Amin Logsumexp Max Mean Min Prod Std Sum Var", Reduction()
)
