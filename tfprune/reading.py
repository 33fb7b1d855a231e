"""What a pass over a batch shows of a model: its gates and its weights."""

import dataclasses
import itertools
from typing import NamedTuple

import keras
from keras import tree
import numpy as np
import tensorflow as tf

from tfprune import curvature
from tfprune import feeds
from tfprune import gates
from tfprune import gradients
from tfprune import graph as graph_lib
from tfprune import masking
from tfprune import program
from tfprune import replicas
from tfprune import weights


class Tap(NamedTuple):
    """One gate seen on one batch; uses of a shared gate lie side by side.

    Attributes:
        layers: The chain that the gate closes, such as (Conv2D, ReLU): of its
            first use, if it has several.
        output: [batch, ..., channels].
        gradient: `output_grad`, or None if the losses do not have it.
        functions: The activations that read the gate, such as a ReLU after a
            batch normalisation, in their order.
    """

    layers: tuple
    output: tf.Tensor
    gradient: tf.Tensor | None
    functions: tuple = ()

    @property
    def output_grad(self):
        """Gradient of the sum of all losses on this replica, as the output.

        In inference mode a row is that of the loss of its example alone; a
        `BatchNormalization` in training mode makes it depend on the others.

        Raises:
            ValueError: If the losses depend on no gate by a gradient.
        """
        return gradients.required(self.gradient)

    @property
    def activation(self):
        """The output after those activations, of its shape."""
        x = self.output
        for function in self.functions:
            x = tf.cast(function(x), x.dtype)
        return x

    @property
    def positions(self):
        """How many numbers of a channel an example has, a float32 scalar."""
        shape = tf.shape(self.output)
        return tf.cast(tf.reduce_prod(shape[1:-1]), tf.float32)


@dataclasses.dataclass(frozen=True)
class Batch:
    """One batch on one replica, and all that a criterion may read of it."""

    taps: dict  # {path of the gate: Tap}
    units: dict  # {path of the gate: its units, an array as in `Node`}
    layers: dict  # {path: layer of the masked model, without its mask}
    inputs: list  # a tensor for each input of the program
    labels: object
    program: object  # the `Program` of the masked model
    graph: graph_lib.ChannelGraph
    stays: tf.Tensor  # bool [num_units], the units that no mask shuts
    alive: tf.Tensor  # bool [num_units], those of them to score
    in_a_row: np.ndarray  # int [num_units], gates that follow each other
    loss_fn: object
    gradients: dict | None  # {id of a variable: gradient on this replica}
    _found: dict = dataclasses.field(default_factory=dict, init=False)

    def check_differentiable(self):
        """Raises `ValueError` if the losses have no gradient to any gate."""
        for tap in self.taps.values():
            gradients.required(tap.gradient)

    def mean_gradients(self):
        """Returns `gradients` of the mean loss over all replicas, or None."""
        return self._once("mean_gradients", self._mean_gradients)

    def curvatures(self):
        """Returns diagonal second derivatives of the losses to the gates.

        {path: as the output of the `Tap`}, as of `curvature.diagonals`.
        """
        return self._once("curvatures", self._curvatures)

    def _once(self, name, compute):
        # `functools.cached_property` has a lock, on which the thread of one
        # replica would wait for another that waits for it.
        if name not in self._found:
            self._found[name] = compute()
        return self._found[name]

    def _mean_gradients(self):
        if self.gradients is None:
            return None
        examples = replicas.count_examples(self.inputs[0])
        count, summed = replicas.sum_over_replicas(
            (examples, list(self.gradients.values()))
        )
        return dict(zip(self.gradients, (x / count for x in summed)))

    def _curvatures(self):
        self.check_differentiable()
        found = curvature.diagonals(
            self.program, self.inputs, self.labels, self.loss_fn
        )
        return {
            path: tf.concat([channels_last(x, units) for x in each], axis=1)
            for path, units in self.units.items()
            if (each := found.outputs.get(path))
        }

    def losses(self, values):
        """Returns the loss of each example, float32 [batch].

        Args:
            values: {`id` of a tensor of the program: its value}.
        """
        outputs = tree.map_structure(
            lambda x: values[id(x)], self.program.outputs
        )
        return tf.cast(self.loss_fn(self.labels, outputs), tf.float32)

    def weights(self, gradients=None):
        """Yields the units of the channels and the `Weights` of each layer.

        Args:
            gradients: Function that returns {`id` of a variable: gradient}.
                Defaults to that of `mean_gradients`.
        """
        read = gradients or self.mean_gradients
        stays = tf.cast(tf.concat([self.stays, [True]], 0), tf.float32)
        for node in self.graph.node_of.values():
            if node.path not in self.layers:
                continue
            layer = self.layers[node.path]
            yield (
                node.outputs[0],
                weights.Weights(layer, node.axes, stays, read),
            )
            if node.inside is not None:
                inner, start = getattr(layer, node.inner), f"{node.inner}."
                axes = {
                    name.removeprefix(start): units
                    for name, units in node.axes.items()
                    if name.startswith(start)
                }
                yield node.inside, weights.Weights(inner, axes, stays, read)


class Reader:
    """Makes a `Batch` of what a backward pass found on one replica.

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.
        loss_fn: As for `score`.
        candidates: Bool variable, [num_units], of the units to score; None for
            all that are alive.
    """

    def __init__(self, masked, graph, loss_fn, candidates=None):
        self._model = masked
        self._graph = graph
        self._loss_fn = loss_fn
        self._candidates = candidates
        self._program = program.program(masked)
        self._masks = list(masking.masks_of(masked, graph))
        masks = program.layers_by_path(masked)
        self._layers = {
            path: masking.unwrapped(layer) for path, layer in masks.items()
        }
        self._gates = {}  # by `id` of the `ChannelMask`
        for path, gate in graph.gates.items():
            chain = _chain(self._layers, gate)
            after = tuple(self._layers.get(x.path, x.layer) for x in gate.after)
            self._gates[id(masks[path])] = path, gate.units, chain, after
        self._in_a_row = gates.in_a_row(self._program, graph)

    def read(self, found, inputs, labels):
        """Returns the `Batch` of this replica.

        Args:
            found: The `Backward` of this replica, with taps.
            inputs: The inputs of this replica's part of the batch.
            labels: Their labels.
        """
        uses = {}
        tap_gradients = found.tap_gradients or itertools.repeat(None)
        for (layer, output), gradient in zip(found.taps, tap_gradients):
            uses.setdefault(id(layer), []).append((output, gradient))
        stays = self._stays()
        alive = stays & self._graph.prunable
        if self._candidates is not None:
            alive &= self._candidates
        return Batch(
            dict(self._tap(key, pairs) for key, pairs in uses.items()),
            {path: units for path, units, *_ in self._gates.values()},
            self._layers,
            feeds.flat_inputs(self._model, inputs),
            labels,
            self._program,
            self._graph,
            stays,
            alive,
            self._in_a_row,
            self._loss_fn,
            found.gradients and self._by_variable(found.gradients),
        )

    def _by_variable(self, gradients):
        variables = self._model.trainable_variables
        return dict(zip(map(id, variables), gradients, strict=True))

    def _stays(self):
        """Returns which units have no mask shut, bool [num_units]."""
        stays = tf.ones([self._graph.num_units], bool)
        for layer, units in self._masks:
            dead = tf.math.unsorted_segment_max(
                tf.reshape(1 - layer.mask, [-1]),
                units.ravel(),
                self._graph.num_units,
            )
            stays &= dead <= 0
        return stays

    def _tap(self, key, pairs):
        path, units, chain, after = self._gates[key]
        output, gradient = (
            None
            if tensors[0] is None
            else tf.concat([channels_last(x, units) for x in tensors], axis=1)
            for tensors in zip(*pairs)
        )
        return path, Tap(chain, output, gradient, after)


def channels_last(x, units):
    """Returns a gate as float32 [batch, positions, channels].

    Args:
        x: Its output, or a tensor of its shape.
        units: Its units, an array as in `Node`.
    """
    x = tf.cast(x, tf.float32)
    axis = int(np.argmax(units.shape)) if units.size > 1 else -1
    if axis % units.ndim != units.ndim - 1:
        order = [0, *(a + 1 for a in range(units.ndim) if a != axis), axis + 1]
        x = tf.transpose(x, order)
    return tf.reshape(x, [tf.shape(x)[0], -1, x.shape[-1]])


def _chain(layers, gate):
    """Returns the layers that lead to a gate."""
    return tuple(
        layers[node.path]
        for node in gate.chain
        if isinstance(node.layer, keras.layers.Layer)
    )
