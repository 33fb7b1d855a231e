"""Rule of the wrapper that applies a layer at every step of time."""

import copy

from keras import layers

from tfprune.rules import base
from tfprune.rules import writers


class TimeDistributed(base.Rule):
    """`TimeDistributed`: as the layer inside, with an axis of time before."""

    def of(self, layer):
        rule = base.rule_for(layer.layer)
        unknown = type(rule) is base.Rule or rule.inner
        return None if unknown else _Step(rule)


class _Step(base.Rule):
    """Sees one step of time as the rule of the layer inside would.

    Args:
        rule: The `Rule` of the layer inside.
    """

    def __init__(self, rule):
        self.rule = rule
        self.pointwise = rule.pointwise
        self.kernels = tuple(f"layer.{name}" for name in rule.kernels)
        self.counted = rule.counted

    def outputs(self, node):
        return [units[None] for units in self.rule.outputs(_step(node))]

    def axes(self, node):
        axes = self.rule.axes(_step(node))
        return {f"layer.{name}": units for name, units in axes.items()}

    def config(self, node, kept):
        inner = self.rule.config(_step(node), kept)
        if not (inner or node.layer.weights):
            return {}
        return {"layer": base.inner_config(node.layer, "layer", inner)}

    def leaks(self, node):
        return self.rule.leaks(_step(node))

    def products(self, node):
        steps = writers.places((node.input_shapes[0][0], 1), -1)
        products = self.rule.products(_step(node))
        return {f"layer.{name}": n * steps for name, n in products.items()}

    def filters(self, layer, kernel):
        return self.rule.filters(layer.layer, kernel)


def _step(node):
    """Returns the node of the layer inside, at any step of time."""
    step = copy.copy(node)
    step.layer = node.layer.layer
    step.args, step.kwargs = tuple(node.tensors[:1]), {}
    step.inputs = [node.merge(units, 0)[0] for units in node.inputs]
    step.outputs = [units[0] for units in node.outputs]
    step.input_shapes = [shape[1:] for shape in node.input_shapes]
    step.output_shapes = [shape[1:] for shape in node.output_shapes]
    return step


base.register_rule(layers.TimeDistributed, TimeDistributed())
