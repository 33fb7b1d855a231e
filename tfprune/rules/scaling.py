"""Rules of the layers that scale and shift channels."""

from keras import layers
import numpy as np

from tfprune.rules import base
from tfprune.rules import pointwise


class PReLU(pointwise.Pointwise):
    """`PReLU`: one slope for each channel, or for each position of it."""

    def axes(self, node):
        units, alpha = node.inputs[0], node.layer.alpha
        return {
            "alpha": tuple(
                node.channels(axis) if units.shape[axis] > 1 < length else None
                for axis, length in enumerate(alpha.shape)
            )
        }


class LayerScale(pointwise.Pointwise):
    """`LayerScale` of ConvNeXt: one factor for each channel."""

    def axes(self, node):
        along = node.inputs[0].shape[-1] > 1
        return {"gamma": (node.channels() if along else None,)}

    def config(self, node, kept):
        (units,) = self.axes(node)["gamma"]
        return {} if units is None else {"projection_dim": kept(units)}


class BatchNormalization(pointwise.Pointwise):
    """`BatchNormalization` along the axis of the channels."""

    def outputs(self, node):
        units, axis = node.inputs[0], _axis(node)
        if units.size > units.shape[axis]:
            node.freeze(units, base.NORMALISED)
        return [units]

    def axes(self, node):
        units, axis = node.inputs[0], _axis(node)
        if units.size > units.shape[axis]:
            return {}
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        return dict.fromkeys(names, (node.channels(axis),))

    def leaks(self, node):
        return True


class GroupNormalization(pointwise.Pointwise):
    """`GroupNormalization`: a group of channels stays or goes."""

    def outputs(self, node):
        units, axis = node.inputs[0], _axis(node)
        if units.size > units.shape[axis] or node.layer.groups == 1:
            node.freeze(units, base.NORMALISED)
        else:
            row = node.channels(axis)
            node.merge(row.reshape(node.layer.groups, -1), 1)
        return [units]

    def axes(self, node):
        units, axis = node.inputs[0], _axis(node)
        if units.size > units.shape[axis]:
            return {}
        return dict.fromkeys(("gamma", "beta"), (node.channels(axis),))

    def config(self, node, kept):
        axis = _axis(node)
        width = node.input_shapes[0][axis] // node.layer.groups
        return {"groups": kept(node.channels(axis)) // width}

    def leaks(self, node):
        return True


class Normalised(pointwise.Pointwise):
    """A layer whose statistics run over the channels of an example."""

    pointwise = False
    passes = False

    def outputs(self, node):
        for units in node.inputs:
            node.freeze(units, base.NORMALISED)
        return [node.inputs[0]]

    def leaks(self, node):
        return True


class Rescaling(pointwise.Pointwise):
    """`Rescaling`: a number for all channels, or one for each."""

    def outputs(self, node):
        units = node.inputs[0]
        for value in (node.layer.scale, node.layer.offset):
            if np.size(value) > 1 and not (
                _last(units) and np.shape(value) == (units.size,)
            ):
                node.freeze(units, base.SHAPE)
        return [units]

    def config(self, node, kept):
        values = {"scale": node.layer.scale, "offset": node.layer.offset}
        return _kept_values(values, node, kept)

    def leaks(self, node):
        return bool(np.any(node.layer.offset))


class Normalization(pointwise.Pointwise):
    """`Normalization` by a mean and variance, given or of data."""

    def outputs(self, node):
        units = node.inputs[0]
        if node.layer.axis and not self._by_channel(node):
            node.freeze(units, base.SHAPE)
        return [units]

    def axes(self, node):
        if node.layer.input_mean is not None or not self._by_channel(node):
            return {}
        names = ("adapt_mean", "adapt_variance")
        return dict.fromkeys(names, (node.channels(),))

    def config(self, node, kept):
        mean, variance = node.layer.input_mean, node.layer.input_variance
        return _kept_values({"mean": mean, "variance": variance}, node, kept)

    def leaks(self, node):
        return True

    def _by_channel(self, node):
        units, axes = node.inputs[0], node.layer.axis
        last = [axis % (units.ndim + 1) for axis in axes] == [units.ndim]
        return last and _last(units)


def _axis(node):
    """Returns the axis of a normalisation, the batch not counted."""
    axis = node.layer.axis
    return axis if axis < 0 else axis - 1


def _last(units):
    """Whether the channels lie on the last axis alone."""
    return units.size == units.shape[-1]


def _kept_values(values, node, kept):
    """Returns what is left of those values that hold one for each channel."""
    units = node.outputs[0].ravel()
    return {
        name: [x for x, u in zip(np.ravel(value).tolist(), units) if kept(u)]
        for name, value in values.items()
        if np.shape(value) == units.shape
    }


for _kind in (
    layers.LayerNormalization,
    layers.RMSNormalization,
    layers.UnitNormalization,
    layers.Softmax,
):
    base.register_rule(_kind, Normalised())
base.register_rule(layers.PReLU, PReLU())
base.register_rule(layers.BatchNormalization, BatchNormalization())
base.register_rule(layers.GroupNormalization, GroupNormalization())
base.register_rule(layers.Rescaling, Rescaling())
base.register_rule(layers.Normalization, Normalization())
base.register_operations("LayerScale", LayerScale())
