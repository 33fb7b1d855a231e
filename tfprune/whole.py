"""A run of a whole model on one batch, which runs without units start from."""

import collections

from keras import tree
import tensorflow as tf

from tfprune import linear
from tfprune import masking
from tfprune import program
from tfprune.rules import base


class Whole:
    """The values of all tensors of a model, and what is known of them.

    Args:
        code: The `Program` of a masked model.
        graph: The `ChannelGraph` of the model it was made from.
        inputs: A tensor for each input of the program.
        gates: {path of the gate: its units}.

    Attributes:
        calls: Those of `linear.calls`.
        gates: As given.
    """

    def __init__(self, code, graph, inputs, gates):
        self.calls = linear.calls(code)
        self.gates = gates
        self._code = code
        self._values = dict(zip(map(id, code.inputs), inputs, strict=True))
        self._masks = {}  # of time steps, by `id` of the call
        program.replay(self.calls, self._values, self._run)
        paths = collections.Counter(call.path for call in code.calls)
        self._nodes = {
            node.path: node for node in graph.nodes if paths[node.path] == 1
        }

    def value(self, tensor):
        """Returns the value of a symbolic tensor."""
        return self._values[id(tensor)]

    def losses(self, loss_fn, labels, given=()):
        """Returns the loss of each example, float32 [batch].

        Args:
            loss_fn: Function `(labels, outputs)` to one loss per example.
            labels: Those of the batch.
            given: {`id` of a tensor: its value} where that is another one.
        """
        values = {**self._values, **dict(given)}
        outputs = tree.map_structure(
            lambda x: values[id(x)], self._code.outputs
        )
        return tf.cast(loss_fn(labels, outputs), tf.float32)

    @property
    def outputs(self):
        """The symbolic outputs, a list."""
        return tree.flatten(self._code.outputs)

    def call(self, call, given):
        """Returns the outputs of a call, a list.

        Args:
            call: One of `calls`.
            given: As for `losses`.
        """
        values = {**self._values, **given}
        for tensor, mask in zip(call.inputs, self.masks(call)):
            values[id(tensor)]._keras_mask = mask
        args, kwargs = tree.map_structure(
            lambda x: values.get(id(x), x), (call.args, call.kwargs)
        )
        return tree.flatten(call.layer(*args, **kwargs))

    def masks(self, call):
        """Returns what Keras knew of masked time steps of inputs, or Nones.

        A call may have made Keras forget that since.
        """
        return self._masks[id(call)]

    def passed(self, call):
        """Returns the units of each output if they are those that enter.

        None if that is not known.
        """
        if isinstance(call.layer, (linear.Linear, linear.Ending)):
            return None
        if not base.rule_for(masking.unwrapped(call.layer)).passes:
            return None
        if not all(self.value(x).dtype.is_floating for x in call.outputs):
            return None
        if call.path in self.gates:
            return [self.gates[call.path]]
        node = self._nodes.get(call.path)
        return None if node is None else node.outputs

    def _run(self, call, *args, **kwargs):
        self._masks[id(call)] = [
            getattr(self.value(x), "_keras_mask", None) for x in call.inputs
        ]
        return call.layer(*args, **kwargs)
