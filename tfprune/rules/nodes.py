"""What a rule is given of a call: the layer, and the units of its tensors."""

import copy
import fnmatch
import inspect

import numpy as np


class Node:
    """One call of a layer, with the units of its tensors and variables.

    The units of a tensor are an int array that broadcasts to the shape of one
    example: an axis of length 1 does not tell positions apart, so an image
    batch `[batch, height, width, channels]` has units `[1, 1, channels]`.

    Attributes:
        path: Name of the layer; `outer/layer` inside a nested model.
        layer: The layer or operation.
        args: Positional arguments of the call, tensors as `KerasTensor`s.
        kwargs: Keyword arguments of the call.
        tensors: The `KerasTensor`s among them.
        inputs: The units of each of these tensors.
        input_shapes: The shape of each input, without the batch.
        outputs: The units of each output tensor.
        output_shapes: The shape of each output, without the batch.
        inner: Name of the layer inside that has units of its own, or None.
        inside: Its units, as those of an output; None if there is none.
        axes: dict from the name of a variable (an attribute of the layer, or
            `inner.attribute`) to a tuple with an entry per axis: units or None.
    """

    def __init__(self, call, units, inputs):
        self.path = call.path
        self.layer = call.layer
        self.args = call.args
        self.kwargs = call.kwargs
        self.inputs = inputs
        self.input_shapes = [tuple(x.shape[1:]) for x in call.inputs]
        self.outputs = []
        self.output_shapes = [tuple(x.shape[1:]) for x in call.outputs]
        self.inner = self.inside = None
        self.axes = {}
        self.tensors = call.inputs
        self._units = units

    def numbered(self, numbers):
        """Returns the same node with the final `numbers` of its units."""
        node = copy.copy(self)
        node.inputs = [numbers[x] for x in self.inputs]
        node.outputs = [numbers[x] for x in self.outputs]
        node.inside = None if self.inside is None else numbers[self.inside]
        node.axes = {
            name: tuple(x if x is None else numbers[x] for x in axes)
            for name, axes in self.axes.items()
        }
        return node

    @property
    def arrays(self):
        """{path: arrays of the units that can be masked there}."""
        arrays = {self.path: self.outputs}
        if self.inside is not None:
            arrays[f"{self.path}/{self.inner}"] = [self.inside]
        return arrays

    def index(self, name):
        """Returns which input is the argument `name` of the layer's call.

        None if the call has no such argument, or one that is no tensor.
        """
        call = inspect.signature(self.layer.call)
        given = call.bind(*self.args, **self.kwargs).arguments.get(name)
        places = [n for n, x in enumerate(self.tensors) if x is given]
        return places[0] if places else None

    def new(self, count):
        """Returns `count` units of the layer, the same for all its calls."""
        return self._units.new(count, owner=self.layer)

    def zeros(self, count):
        """Returns `count` units of channels that are always zero."""
        return self._units.new(count, zero=True)

    def tie(self, *arrays):
        """Makes units that meet stay or go together; returns their array."""
        return self._units.tie(*arrays)

    def freeze(self, units, reason):
        """Forbids to remove `units`; of several reasons, see `REASONS`."""
        self._units.freeze(units, reason)
        return units

    def frozen_outputs(self, reason):
        """Returns units of the last axis of each output, which all stay."""
        shapes = self.output_shapes
        # An unknown last axis counts as one channel.
        counts = [shape[-1] or 1 if shape else 1 for shape in shapes]
        units = self.freeze(self.new(sum(counts)), reason)
        parts = np.split(units, np.cumsum(counts)[:-1])
        return [
            part.reshape((1,) * (len(shape) - 1) + (-1,) if shape else ())
            for part, shape in zip(parts, shapes)
        ]

    def merge(self, units, axis):
        """Ties units over an axis, which becomes one of length 1."""
        first, *others = np.split(units, units.shape[axis], axis)
        return self.tie(first, *others)

    def merge_all(self, units, rank):
        """Ties all of `units` into a single one, an array of `rank` axes."""
        return self.merge(units.reshape(-1), 0).reshape((1,) * rank)

    def channels(self, axis=-1, index=0):
        """Returns the units along one axis of an input, [length].

        Units at the same place of that axis are tied over the other axes.
        """
        units, shape = self.inputs[index], self.input_shapes[index]
        for other in range(units.ndim):
            if other != axis % units.ndim:
                units = self.merge(units, other)
        return np.broadcast_to(units.ravel(), shape[axis])

    def along(self, units, axis=-1):
        """Returns `units`, [length], as an array along one output axis."""
        shape = [1] * len(self.output_shapes[0])
        shape[axis] = len(units)
        return units.reshape(shape)


def named(nodes, pattern, argument):
    """Returns the layers whose names match a pattern.

    Args:
        nodes: List of `Node`s.
        pattern: A name, in which `*`, `?` and `[]` match as in file names.
        argument: Name of the argument that it was given in.

    Returns:
        List of pairs of a path and arrays, as of `Node.arrays`.

    Raises:
        ValueError: If no name matches.
    """
    pairs = [pair for node in nodes for pair in node.arrays.items()]
    if isinstance(pattern, str):
        found = [x for x in pairs if fnmatch.fnmatchcase(x[0], pattern)]
        if found:
            return found
    raise ValueError(
        f"`{argument}` must name layers of the model. Received: {pattern!r}, "
        f"which matches none of {[path for path, _ in pairs]}."
    )
