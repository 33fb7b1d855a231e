"""What dropping units does one layer ahead, while a model trains.

The damage is measured at the outputs of the layers that read the units: the
squared change as a share of the squared output (Ding et al., 2019, Approximated
Oracle Filter Pruning, section 3.2).
"""

import keras
from keras import tree
import numpy as np
import tensorflow as tf

from tfprune import feeds
from tfprune import program
from tfprune import replicas
from tfprune import targets
from tfprune.layers import head_mask

EPSILON = 1e-12  # Added to the squared output, which is 0 at a dead layer.


class Damage:
    """Measures what dropping units of all targets does, of each for itself.

    A target is ablated at its gates, whose undamaged outputs are multiplied
    with the units that are kept, and what that does ends at the layers that
    read it. So no target sees what others, or the layers before, have lost.

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.

    Attributes:
        targets: A `Target` for each group of two prunable units or more that
            a layer reads.

    Raises:
        ValueError: If there is no such group.
    """

    def __init__(self, masked, graph):
        self._masked = masked
        self._program = program.program(masked)
        found = targets.find(self._program, graph)
        self.targets = [x for x in found if x.scorers and len(x.units) > 1]
        if not self.targets:
            raise ValueError(
                "The model must have a layer that can lose channels, and "
                f"another that reads them. Received: {masked.name!r} without; "
                "`tfprune.explain(model)` tells why channels stay."
            )

    def ablating(self, kept):
        """Returns the masked model as a layer that measures the damage, too.

        Its one call, in training mode, returns what the model does and sets
        `change` and `size`, float32 [targets]: half of the sums over all
        outputs of the scorers, and all examples, of the squared change and
        the square. After that `damages` returns the ratios.

        Args:
            kept: float [num_units], 0 for the units to drop and 1 for others.
        """
        return _Ablating(self, self._masked, kept)

    def checked(self, damages, step):
        """Returns damages of all targets, if they are finite.

        Args:
            damages: float, [targets].
            step: The number of the step that they are of, for the error.

        Raises:
            FloatingPointError: If one is not, with the layer and the step.
        """
        for target, damage in zip(self.targets, damages, strict=True):
            if not np.isfinite(damage):
                raise FloatingPointError(
                    "What layers compute without some filters of layer "
                    f"{target.name!r} must be finite. Received: a damage of "
                    f"{damage} in training step {step + 1}. Keep the layer by "
                    "`frozen`."
                )
        return damages

    def run(self, inputs):
        """Runs the model.

        Args:
            inputs: A batch of its inputs.

        Returns:
            Its outputs; the values of all tensors; and of each call the
            variables of its random numbers with what they were before.
        """
        code = self._program
        given = feeds.flat_inputs(self._masked, inputs)
        values = {
            id(tensor): feeds.as_given(tensor, value)
            for tensor, value in zip(code.inputs, given, strict=True)
        }
        seeds = {}  # by `id` of an output

        def record(call, *args, **kwargs):
            seeds[id(call.outputs[0])] = _seeds(call.layer)
            return _call(call, *args, **kwargs)

        program.replay(code.calls, values, record)
        outputs = tree.map_structure(lambda x: values[id(x)], code.outputs)
        return outputs, values, seeds

    def ablate(self, values, seeds, kept):
        """Returns `change` and `size` of all targets.

        Args:
            values: What `run` returned of all tensors.
            seeds: What `run` returned of random numbers.
            kept: As for `ablating`.
        """
        kept = tf.concat([kept, [1.0]], 0)  # Channels without a unit stay.
        pairs = []
        for target in self.targets:
            # Together they would take more memory.
            with tf.control_dependencies(pairs[-1] if pairs else ()):
                pairs.append(_ablate(target, values, seeds, kept))
        change, size = zip(*pairs)
        return tf.stack(change), tf.stack(size)


class _Ablating(keras.layers.Layer):
    def __init__(self, damage, masked, kept):
        super().__init__(name=masked.name, autocast=False)
        self.masked = masked
        self.built = True
        self._damage = damage
        self._kept = kept

    def call(self, inputs):
        outputs, values, seeds = self._damage.run(inputs)
        self.change, self.size = self._damage.ablate(
            values, seeds, self._kept
        )
        self._examples = replicas.count_examples(tree.flatten(outputs)[0])
        # All of it before the backward pass takes the least memory.
        with tf.control_dependencies([self.change, self.size]):
            return tree.map_structure(tf.identity, outputs)

    def damages(self):
        """Returns the damage of each target over all replicas, [targets].

        It is 0 at a layer whose output is, with and without the units.
        """
        present = tf.minimum(self._examples, 1.0)  # An empty part yields NaN.
        change, size = replicas.sum_over_replicas(
            [
                tf.math.multiply_no_nan(x, present)
                for x in (self.change, self.size)
            ]
        )
        return change / (size + EPSILON)


def _call(call, *args, **kwargs):
    if "training" in kwargs:  # As a model does with what it has recorded.
        kwargs["training"] = True
    return call.layer(*args, **kwargs)


def _seeds(layer):
    """Returns the variables of a layer's random numbers, with their values."""
    weights = set(map(id, getattr(layer, "weights", ())))
    return [
        (variable, tf.identity(variable.value))
        for variable in getattr(layer, "variables", ())
        if id(variable) not in weights
    ]


def _ablate(target, values, seeds, kept):
    """Returns half of the squared change, and of the square, of a target."""
    after = dict(values)

    def mask(call):
        units = target.gates[call.path]
        dropped = tf.gather(kept, units % kept.shape[0])
        return tf.where(np.isin(units, target.units), dropped, 1.0)

    def again(call, *args, **kwargs):
        # The same random numbers; no moving statistic moves.
        with keras.StatelessScope(seeds[id(call.outputs[0])]):
            return _call(call, *args, **kwargs)

    def carry(call, *args, **kwargs):
        if call.path not in target.gates:
            return again(call, *args, **kwargs)
        outputs = values[id(call.outputs[0])]
        return outputs * tf.cast(mask(call), outputs.dtype)

    def score(call, *args, **kwargs):
        inside = isinstance(call.layer, head_mask.HeadMask)
        if not inside or call.path not in target.gates:
            return again(call, *args, **kwargs)
        with call.layer.shut(mask(call)):
            return again(call, *args, **kwargs)

    program.replay(target.carriers, after, carry)
    changes, sizes = [], []
    for chain in target.scorers:
        ends = dict(after)
        program.replay(chain, ends, score)
        for tensor in chain[-1].outputs:
            old, new = (
                tf.cast(x[id(tensor)], tf.float32) for x in (values, ends)
            )
            changes.append(tf.nn.l2_loss(old - new))
            sizes.append(tf.nn.l2_loss(old))
    return tf.add_n(changes), tf.add_n(sizes)
