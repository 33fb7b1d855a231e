"""Rules of the recurrent layers, whose own units stay."""

from keras import layers

from tfprune.rules import base
from tfprune.rules import writers


class Recurrent(base.Rule):
    """`LSTM` and the like: may lose channels of the sequence that they read.

    A mask after the layer would not reach the state that it feeds back.
    """

    kernels = ("cell.kernel", "cell.recurrent_kernel")

    def outputs(self, node):
        sequences = node.inputs[node.index("sequences")]
        for units in node.inputs:
            if units is not sequences:  # A state to begin with.
                node.freeze(units, base.RECURRENT)
        return node.frozen_outputs(base.RECURRENT)

    def axes(self, node):
        read = node.channels(index=node.index("sequences"))
        return {
            name: (None if "recurrent" in name else read, None)
            for name in self.kernels
        }

    def positions(self, node):
        return writers.places(node.input_shapes[node.index("sequences")], -1)

    def filters(self, layer, kernel):
        return None


class Bidirectional(Recurrent):
    """`Bidirectional` around two of these."""

    kernels = tuple(
        f"{side}_layer.{name}"
        for side in ("forward", "backward")
        for name in Recurrent.kernels
    )

    def config(self, node, kept):
        names = node.layer.get_config().keys() & {"layer", "backward_layer"}
        return {name: base.inner_config(node.layer, name, {}) for name in names}

    def of(self, layer):
        rules = map(base.rule_for, (layer.forward_layer, layer.backward_layer))
        return self if all(type(x) is Recurrent for x in rules) else None


for _kind in (layers.LSTM, layers.GRU, layers.SimpleRNN):
    base.register_rule(_kind, Recurrent())
base.register_rule(layers.Bidirectional, Bidirectional())
