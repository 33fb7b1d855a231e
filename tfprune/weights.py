"""The weights of one layer, as criteria read them on a batch."""

import functools

import tensorflow as tf

from tfprune import gradients
from tfprune.rules import base as rules


class Weights:
    """The weights of a layer, and their gradients; dead inputs count as 0.

    A weight that reads a masked unit is one that the compacted layer does not
    have.

    Args:
        layer: The layer, without its mask.
        axes: {name of a variable: units or None for each of its axes}.
        stays: float [num_units + 1], 1 for units that are not masked; the
            last entry, for channels without a unit, is 1.
        gradients: Function that returns {id of a variable: gradient}, or None
            if the losses have none.

    Attributes:
        layer: As given.
    """

    def __init__(self, layer, axes, stays, gradients):
        self.layer = layer
        self._rule = rules.rule_for(layer)
        self._axes = axes
        self._stays = stays
        self._gradients = gradients

    @property
    def kernel(self):
        """What writes the channels, [fan_in, channels]; None without one."""
        return self._filters(lambda name: self.value(name))

    @property
    def kernel_gradient(self):
        """The gradient of the losses to `kernel`, of its shape; or None."""
        return self._filters(lambda name: self.gradient(name))

    @property
    def fan_in(self):
        """How many weights of `kernel` are alive, [channels]; or None."""
        live = self._filters(self._live)
        return None if live is None else tf.reduce_sum(live, axis=0)

    @property
    def variables(self):
        """The kernel and its bias, as far as there are such, a list."""
        names = [name for name in (self._kernel_name, self.bias) if name]
        return [x for x in map(self._variable, names) if x is not None]

    @property
    def bias(self):
        """Name of the bias of `kernel`; None without one."""
        inside, dot, _ = self._kernel_name.rpartition(".")
        name = f"{inside}{dot}bias"
        exists = self.kernel is not None and self._variable(name) is not None
        return name if exists else None

    def value(self, name):
        """Returns a variable as float32; None if the layer has none.

        Args:
            name: Its attribute, such as `"gamma"`.
        """
        variable = self._variable(name)
        if variable is None:
            return None
        return tf.cast(variable, tf.float32) * self._live(name)

    def gradient(self, name):
        """Returns the gradient of the losses to a variable, of its shape.

        Args:
            name: As for `value`.

        Raises:
            ValueError: If the losses have no gradient, or the layer is frozen.
        """
        variable = self._variable(name)
        if variable is None:
            return None
        found = gradients.required(self._gradients())
        if id(variable) not in found:
            raise ValueError(
                "A criterion that reads gradients of weights needs layers that "
                f"are trained. Received: {variable.path!r}, which is not. Set "
                "`trainable = True`."
            )
        return found[id(variable)] * self._live(name)

    @functools.cached_property
    def _kernel_name(self):
        return self._rule.kernels[0] if self._rule.kernels else ""

    def _variable(self, name):
        variable = rules.variable(self.layer, name)
        return None if isinstance(variable, tuple) else variable

    def _filters(self, read):
        """Returns what is read of the first kernel, [fan_in, channels]."""
        if not self._kernel_name or self._variable(self._kernel_name) is None:
            return None
        return self._rule.filters(self.layer, read(self._kernel_name))

    def _live(self, name):
        """Returns 1 for each weight that no mask shuts, of its shape."""
        shape = self._variable(name).shape
        live = tf.ones(shape)
        for axis, units in enumerate(self._axes.get(name, ())):
            if units is not None:
                rest = len(shape) - axis - 1
                rows = tf.gather(self._stays, units % self._stays.shape[0])
                live *= tf.reshape(rows, [-1, *[1] * rest])
        return live
