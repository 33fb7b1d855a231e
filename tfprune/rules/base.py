"""What every channel rule shares, and the table of rules by layer type."""

import functools

import keras

INPUT = "model input"
OUTPUT = "model output"
NORMALISED = "normalised across channels"
NO_RULE = "no rule for a layer it meets"
RECURRENT = "fed back by a recurrent layer"
SHAPE = "fixed by a shape"
INSIDE = "inside of one layer"
STREAM = "residual stream"
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
    STREAM,
    USER,
)


class Rule:
    """Tells how units pass one type of layer: by default, not at all.

    A rule answers three questions: which units leave the layer, which lie on
    each axis of its variables, and what its config becomes when some are gone.
    This base class is the rule of the layers that have none: their units are
    frozen.

    Attributes:
        pointwise: Whether each channel of the single output depends on the
            same channel of the single input alone.
        passes: Whether what a prunable unit has of the outputs depends on what
            it has of the inputs alone, and nothing else depends on that.
        kernels: Names of the variables that are multiplied with the input at
            each of `positions`; the first makes the layer begin a chain.
        inner: Name of the layer inside that has units of its own, or None.
        sums: Whether it adds up its inputs.
        counted: Whether `kernels` make all of its multiply-accumulates.
    """

    pointwise = False
    passes = False
    kernels = ()
    inner = None
    sums = False
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

    def filters(self, layer, kernel):
        """Returns a tensor laid out as the first kernel, [fan_in, channels].

        By default, the channels that the kernel writes lie on its last axis.
        None if it alone does not tell what a channel is worth.

        Args:
            layer: The layer.
            kernel: Its first kernel, or a tensor of the same shape.
        """
        return keras.ops.reshape(kernel, (-1, kernel.shape[-1]))

    def product(self, layer):
        """Returns the function of inputs and `layer.kernel` that it computes.

        It is linear in both, for a kernel `[..., in, out]` of any widths; the
        layer then adds its `bias` and applies its `activation`. None if it
        computes something else.
        """
        return None


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
