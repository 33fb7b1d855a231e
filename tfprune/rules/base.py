"""What every channel rule shares, and the table of rules by layer type."""

import copy
import functools
import inspect

import keras
import numpy as np

INPUT = "model input"
OUTPUT = "model output"
NORMALISED = "normalised across channels"
NO_RULE = "no rule for a layer it meets"
RECURRENT = "fed back by a recurrent layer"
SHAPE = "fixed by a shape"
INSIDE = "inside of one layer"
USER = "asked for by the user"
# Of several reasons for a unit the first one is told.
REASONS = (
    INPUT,
    OUTPUT,
    NORMALISED,
    RECURRENT,
    NO_RULE,
    SHAPE,
    INSIDE,
    USER,
)


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
        inputs: The units of each input tensor.
        input_shapes: The shape of each input, without the batch.
        outputs: The units of each output tensor.
        output_shapes: The shape of each output, without the batch.
        inside: The units of the layer inside that the rule calls `inner`, as
            those of an output; None if there is none.
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
        self.inside = None
        self.axes = {}
        self._tensors = call.inputs
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
            inner = rule_for(self.layer).inner
            arrays[f"{self.path}/{inner}"] = [self.inside]
        return arrays

    def index(self, name):
        """Returns which input is the argument `name` of the layer's call.

        None if the call has no such argument, or one that is no tensor.
        """
        call = inspect.signature(self.layer.call)
        given = call.bind(*self.args, **self.kwargs).arguments.get(name)
        places = [n for n, x in enumerate(self._tensors) if x is given]
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


class Rule:
    """Tells how units pass one type of layer: by default, not at all.

    A rule answers three questions: which units leave the layer, which lie on
    each axis of its variables, and what its config becomes when some are gone.
    This base class is the rule of the layers that have none: their units are
    frozen.

    Attributes:
        pointwise: Whether each channel of the single output depends on the
            same channel of the single input alone.
        kernels: Names of the variables that are multiplied with the input at
            each of `positions`; the first makes the layer begin a chain.
        inner: Name of the layer inside that has units of its own, or None.
        counted: Whether `kernels` make all of its multiply-accumulates.
    """

    pointwise = False
    kernels = ()
    inner = None
    counted = True

    def of(self, layer):
        """Returns the rule of one layer of the class, or None."""
        return self

    def outputs(self, node):
        """Returns the units of each output of a call, as a list."""
        for units in node.inputs:
            node.freeze(units, NO_RULE)
        return node.frozen_outputs(NO_RULE)

    def inside(self, node):
        """Returns the units of the output of the layer `inner`, or None.

        They can be masked there if the layer is called as
        `MultiHeadAttention` is, and `inner` applies an `activation` last.
        """
        return None

    def axes(self, node):
        """Returns {variable name: a tuple of units or None for each axis}."""
        return {}

    def config(self, node, kept):
        """Returns the entries of the config that change with the units.

        Args:
            node: The first call of the layer.
            kept: Function from an array of units to how many of them stay.
        """
        return {}

    def arguments(self, node, args, keep):
        """Returns the positional arguments of a call for the kept units.

        Args:
            node: The call.
            args: Its arguments, tensors replaced by those of the new model.
            keep: Function from an array of units to bools of its shape.
        """
        return args

    def leaks(self, node):
        """Whether a channel that comes in as zero may leave as non-zero.

        A layer of several outputs that does so keeps all of their channels.
        """
        return True

    def positions(self, node):
        """Returns at how many places of one example a kernel is applied."""
        return 1

    def products(self, node):
        """Returns {kernel: at how many places it is applied}."""
        return dict.fromkeys(self.kernels, self.positions(node))

    def filters(self, layer):
        """Returns the first kernel of a layer as [fan_in, channels].

        By default, the channels that it writes lie on its last axis. None if
        it alone does not tell what a channel is worth.
        """
        kernel = keras.ops.convert_to_tensor(variable(layer, self.kernels[0]))
        return keras.ops.reshape(kernel, (-1, kernel.shape[-1]))


_RULES = {}
_OPERATION_RULES = {}
_DEFAULT = Rule()


def register_rule(layer_class, rule):
    """Sets the rule for the layers of one class.

    Args:
        layer_class: A subclass of `keras.layers.Layer` (or of
            `keras.Operation`); its own subclasses are not covered.
        rule: A `Rule` instance.

    Raises:
        TypeError: If the arguments are not of these types.
    """
    if not isinstance(layer_class, type):
        raise TypeError(
            f"`layer_class` must be a class. Received: {layer_class!r}."
        )
    if not isinstance(rule, Rule):
        raise TypeError(
            "`rule` must be an instance of a subclass of `tfprune.Rule`. "
            f"Received: {rule!r}."
        )
    _RULES[layer_class] = rule


def register_operations(names, rule):
    """Sets the rule for operations and layers that Keras keeps private.

    Those are the operations of `keras.ops` and the layers that only the models
    of `keras.applications` have.

    Args:
        names: The names of their classes, with spaces between.
        rule: A `Rule` instance.
    """
    _OPERATION_RULES.update(dict.fromkeys(names.split(), rule))


def rule_for(layer):
    """Returns the `Rule` of a layer or operation.

    One that was quantised or has LoRA enabled has none: its variables are not
    those that the rule of its class knows.
    """
    kind = type(layer)
    if isinstance(layer, keras.layers.Layer) and any(
        map(_altered, layer._flatten_layers())
    ):
        return _DEFAULT
    rule = _RULES.get(kind, _DEFAULT)
    if rule is _DEFAULT and kind.__module__.startswith("keras."):
        rule = _OPERATION_RULES.get(kind.__name__, _DEFAULT)
    return rule.of(layer) or _DEFAULT


def variable(layer, name):
    """Returns a variable of a layer by its name in `axes`; () if none."""
    return functools.reduce(
        lambda owner, part: getattr(owner, part, ()), name.split("."), layer
    )


def inner_config(layer, name, changes):
    """Returns what the config of a layer holds of a layer inside.

    Args:
        layer: The layer around it.
        name: Its entry in the config.
        changes: Entries of its own config that are others.
    """
    held = layer.get_config()[name]
    config = {**held["config"], **changes}
    # Without a `build_config` it is built anew, for the input that it gets.
    return {**held, "config": config, "build_config": None}


def counted(layer):
    """Whether all multiply-accumulates of a layer can be counted.

    Those of a layer without a rule cannot, unless its weights only scale and
    shift.
    """
    if rule_for(layer) is not _DEFAULT:
        return rule_for(layer).counted
    return all(len(w.shape) < 2 for w in getattr(layer, "weights", ()))


def _altered(layer):
    """Whether the variables of a layer are no longer those of its class."""
    return getattr(layer, "quantization_mode", None) or getattr(
        layer, "lora_enabled", False
    )
