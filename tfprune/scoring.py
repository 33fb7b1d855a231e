"""Scores of units: gates of one pass over the data, read by many criteria."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from tfprune import checks
from tfprune import feeds
from tfprune import gradients
from tfprune import masking
from tfprune import program
from tfprune import replicas
from tfprune.criteria import base
from tfprune.layers import channel_mask


def score(masked, graph, criteria, dataset, loss_fn, batches=None):
    """Returns the scores of all units by several criteria, in one pass.

    The model runs in inference mode, under the current strategy; what is
    pruned and chosen does not depend on the number of replicas.

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.
        criteria: A `Criterion`, a list of them (named by their classes), or a
            dict {name: criterion}.
        dataset: `tf.data.Dataset` of batched `(inputs, labels)`.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        batches: How many batches to read, 1 or more. Defaults to all.

    Returns:
        {name: float [num_units]}, averaged over batches; bigger means keep.

    Raises:
        ValueError: If an argument is something else, the first batch, the
            model and the loss do not fit, the loss has no gradient, the
            dataset is empty or shorter than `batches`, two criteria have one
            name, or a score is not finite.
    """
    checks.check_pairs(dataset)
    scorer = Scorer(masked, graph, criteria, loss_fn)
    if batches is not None:
        checks.check_counts(batches=batches)
        dataset = dataset.take(batches)
    distributed, step = replicas.distribute(dataset, scorer.pass_over)
    totals, count = dict.fromkeys(scorer.criteria, 0.0), 0
    for batch in distributed:
        if count == 0:
            # Another pass, for the check alone, would turn a shuffle.
            checks.check_examples(masked, *replicas.gather(batch), loss_fn)
        for name, scores in step(batch).items():
            totals[name] = totals[name] + scores.numpy()
        count += 1
    if count < (batches or 1):
        raise ValueError(
            f"`dataset` must hold {batches or 'some'} batches. "
            f"Received: {count} batches."
        )
    return {
        name: scorer.checked(name, total / count)
        for name, total in totals.items()
    }


class Scorer:
    """Turns the gates of a pass into the scores of units.

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.
        criteria: As for `score`.
        loss_fn: As for `score`.
    """

    def __init__(self, masked, graph, criteria, loss_fn):
        self.criteria = base.named(criteria)
        self._model = masked
        self._graph = graph
        self._loss_fn = loss_fn
        self._program = program.program(masked)
        self._masks = list(masking.masks_of(masked, graph))
        masks = program.layers_by_path(masked)
        self._layers = {
            path: masking.unwrapped(layer) for path, layer in masks.items()
        }
        self._gates = {}  # by `id` of the `ChannelMask`
        for path, gate in graph.gates.items():
            chain = _chain(self._layers, gate)
            self._gates[id(masks[path])] = path, gate.units, chain

    def pass_over(self, inputs, labels):
        """Returns {name: scores [num_units]} of a batch, in inference mode.

        Args:
            inputs: The inputs of this replica's part of the batch.
            labels: Their labels.
        """
        found = gradients.backward(
            self._model,
            self._loss_fn,
            inputs,
            labels,
            tap=channel_mask.tapped,
            training=False,
        )
        return self.scores(found, inputs, labels)

    def scores(self, found, inputs, labels):
        """Returns {name: scores [num_units]} of a batch of all replicas.

        Args:
            found: The `Backward` of this replica, with taps.
            inputs: The inputs of this replica's part of the batch.
            labels: Their labels.

        Raises:
            ValueError: If a criterion returns another shape, or reads the
                gradients and there are none.
        """
        return self._reduced(self.contributions(found, inputs, labels))

    def contributions(self, found, inputs, labels):
        """Returns what this replica adds: {name: float [batch, num_units]}.

        Args:
            found: As for `scores`.
            inputs: As for `scores`.
            labels: As for `scores`.

        Raises:
            ValueError: If a criterion returns another shape, or reads the
                gradients and there are none.
        """
        uses = {}
        tap_gradients = found.tap_gradients or itertools.repeat(None)
        for (layer, output), gradient in zip(found.taps, tap_gradients):
            uses.setdefault(id(layer), []).append((output, gradient))
        batch = base.Batch(
            dict(self._tap(key, pairs) for key, pairs in uses.items()),
            {path: units for path, units, _ in self._gates.values()},
            self._layers,
            feeds.flat_inputs(self._model, inputs),
            labels,
            self._program,
            self._graph,
            self._alive(),
            self._loss_fn,
        )
        return {
            name: _float32(
                f"`contributions` of {name}",
                criterion.contributions(batch),
                [None, self._graph.num_units],
            )
            for name, criterion in self.criteria.items()
        }

    def _alive(self):
        """Returns which prunable units have no mask shut, bool [num_units]."""
        alive = tf.constant(self._graph.prunable)
        for layer, units in self._masks:
            dead = tf.math.unsorted_segment_max(
                tf.reshape(1 - layer.mask, [-1]),
                units.ravel(),
                self._graph.num_units,
            )
            alive &= dead <= 0
        return alive

    def _tap(self, key, pairs):
        path, units, chain = self._gates[key]
        output, gradient = (
            None
            if tensors[0] is None
            else tf.concat([_channels_last(x, units) for x in tensors], axis=1)
            for tensors in zip(*pairs)
        )
        return path, base.Tap(chain, output, gradient)

    def _reduced(self, contributions):
        """Returns {name: scores [num_units]} from those of all replicas."""
        return {
            name: _float32(
                f"`reduce` of {name}",
                self.criteria[name].reduce(
                    replicas.gather_over_replicas(parts)
                ),
                [self._graph.num_units],
            )
            for name, parts in contributions.items()
        }

    def checked(self, name, scores):
        """Returns the scores of one criterion if all are finite.

        Raises:
            ValueError: If one is not; names its layer.
        """
        wrong = np.flatnonzero(~np.isfinite(scores) & self._graph.prunable)
        if len(wrong):
            layer = self._graph.owners[int(wrong[0])]
            raise ValueError(
                f"Scores must be finite. Received: {name} gave "
                f"{scores[wrong[0]]} for unit {wrong[0]} of layer {layer!r}. "
                "Check the loss and the weights."
            )
        return scores


def _chain(layers, gate):
    """Returns the layers that lead to a gate."""
    return tuple(
        layers[node.path]
        for node in gate.chain
        if isinstance(node.layer, keras.layers.Layer)
    )


def _float32(what, values, shape):
    """Returns the numbers of a criterion, if they are of a shape."""
    given = None if values is None else tf.convert_to_tensor(values).shape
    if given is None or not given.is_compatible_with(shape):
        numbers = ", ".join(str(length or "batch") for length in shape)
        raise ValueError(
            f"{what} must be of shape [{numbers}], with one number for each "
            f"unit. Received: shape {given}."
        )
    return tf.cast(values, tf.float32)


def _channels_last(x, units):
    """Returns a gate as float32 [batch, positions, channels]."""
    x = tf.cast(x, tf.float32)
    axis = int(np.argmax(units.shape)) if units.size > 1 else -1
    if axis % units.ndim != units.ndim - 1:
        order = [0, *(a + 1 for a in range(units.ndim) if a != axis), axis + 1]
        x = tf.transpose(x, order)
    return tf.reshape(x, [tf.shape(x)[0], -1, x.shape[-1]])
