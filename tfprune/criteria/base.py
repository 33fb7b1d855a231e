"""What criteria share: the gates or the weights they read, and the hooks."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfprune import gradients
from tfprune import graph as graph_lib


class Tap(NamedTuple):
    """One gate seen on one batch; uses of a shared gate lie side by side.

    Attributes:
        layers: The chain that the gate closes, such as (Conv2D, ReLU): of its
            first use, if it has several.
        output: [batch, ..., channels].
        gradient: `output_grad`, or None if the losses do not have it.
    """

    layers: tuple
    output: tf.Tensor
    gradient: tf.Tensor | None

    @property
    def output_grad(self):
        """Gradient of the sum of all losses on this replica, as the output.

        In inference mode a row is that of the loss of its example alone; a
        `BatchNormalization` in training mode makes it depend on the others.

        Raises:
            ValueError: If the losses depend on no gate by a gradient.
        """
        return gradients.required(self.gradient)


class Batch(NamedTuple):
    """One batch on one replica, and all that a criterion may read of it."""

    taps: dict  # {path of the gate: Tap}
    units: dict  # {path of the gate: its units, an array as in `Node`}
    layers: dict  # {path: layer of the masked model, without its mask}
    inputs: list  # a tensor for each input of the program
    labels: object
    program: object  # the `Program` of the masked model
    graph: graph_lib.ChannelGraph
    alive: tf.Tensor  # bool [num_units], the units to score
    loss_fn: object


class Criterion:
    """Scores the units of a model; low scores go first.

    Subclasses fill in `contribution` and `reduce`. The contributions to a unit
    are added up over the gates it is tied to *before* `reduce`, which need
    not be linear, and which sees the examples of all replicas. Criteria that
    read no gates, like the oracle, override `contributions` instead.
    """

    @property
    def name(self):
        """The name of the criterion in scores and reports."""
        return type(self).__name__

    def contribution(self, tap):
        """Returns what a gate adds to the scores of its channels.

        Args:
            tap: A `Tap`.

        Returns:
            [batch, channels], or [1, channels] if data plays no part; None if
            the chain has nothing that this criterion reads.
        """
        raise NotImplementedError(
            f"{self.name} must implement `contribution` or `contributions`."
        )

    def reduce(self, contributions):
        """Turns contributions, [batch, num_units], into scores, [num_units]."""
        raise NotImplementedError(f"{self.name} must implement `reduce`.")

    def contributions(self, batch):
        """Returns the contributions to all units, [batch, num_units].

        Args:
            batch: A `Batch`.

        Raises:
            ValueError: If nothing that the criterion reads belongs to a unit;
                names the layer.
        """
        return self._by_unit(
            batch,
            [
                (batch.units[path], self.contribution(tap))
                for path, tap in batch.taps.items()
            ],
        )

    def _by_unit(self, batch, pairs):
        """Adds up pairs of units and what they are given, or None."""
        pairs = [
            (units, self._checked(tf.cast(part, tf.float32), units.size))
            for units, part in pairs
            if part is not None
        ]
        units = [
            np.broadcast_to(units.ravel(), part.shape[-1])
            for units, part in pairs
        ]
        units = np.concatenate(units) if units else np.zeros(0, int)
        self._check_all_covered(batch, units)
        if not pairs:
            return tf.zeros((1, batch.graph.num_units))
        total = tf.math.unsorted_segment_sum(
            tf.transpose(tf.concat([part for _, part in pairs], axis=1)),
            units,
            batch.graph.num_units,
        )
        return tf.transpose(total)

    def _checked(self, part, channels):
        # One unit may stand for all channels.
        if part.shape.rank != 2 or channels not in (1, part.shape[1]):
            raise ValueError(
                f"{self.name} must give each channel of a gate a number for "
                f"each example, [batch, {channels}] or [1, {channels}]. "
                f"Received: shape {part.shape}."
            )
        return part

    def _check_all_covered(self, batch, units):
        prunable = np.flatnonzero(batch.graph.prunable)
        missed = np.setdiff1d(prunable, units)
        if len(missed):
            name = batch.graph.owners[int(missed[0])]
            raise ValueError(
                f"{self.name} must find what it reads for every prunable "
                f"unit. Received none for {len(missed)} units, first of layer "
                f"{name!r}. Freeze them with `trace(model, frozen=...)` or use "
                "another criterion."
            )


class WeightCriterion(Criterion):
    """Scores units by the weights of the layers that they leave.

    Subclasses fill in `layer_contribution`, and `reduce` if the score is not
    the sum. A layer counts once, however often it is called.
    """

    def layer_contribution(self, layer):
        """Returns what a layer adds to the scores of its channels.

        Args:
            layer: A layer of the masked model, without its mask.

        Returns:
            [channels]; None if it has no weights that this criterion reads.
        """
        raise NotImplementedError(
            f"{self.name} must implement `layer_contribution`."
        )

    def reduce(self, contributions):
        """Returns the sums, [num_units]; all replicas see the same weights."""
        return tf.reduce_mean(contributions, axis=0)

    def contributions(self, batch):
        pairs = []
        for node in batch.graph.node_of.values():
            if node.path in batch.layers:
                layer = batch.layers[node.path]
                pairs.append(self._of_layer(node.outputs[0], layer))
                if node.inside is not None:
                    inner = getattr(layer, node.inner)
                    pairs.append(self._of_layer(node.inside, inner))
        return self._by_unit(batch, pairs)

    def _of_layer(self, units, layer):
        """Returns the units of the channels of a layer, and what it adds."""
        part = self.layer_contribution(layer)
        return units, None if part is None else part[tf.newaxis]


def named(criteria):
    """Returns criteria as {name: criterion}."""
    if isinstance(criteria, Criterion):
        criteria = [criteria]
    _check_criteria(criteria)
    if not isinstance(criteria, dict):
        names = [criterion.name for criterion in criteria]
        if len(set(names)) < len(names):
            raise ValueError(
                f"Criteria must have different names. Received: {names}. "
                "Give a dict {name: criterion}."
            )
        criteria = dict(zip(names, criteria))
    if not criteria:
        raise ValueError(f"`criteria` must hold one. Received: {criteria}.")
    return criteria


def _check_criteria(criteria):
    each = criteria.values() if isinstance(criteria, dict) else criteria
    if not isinstance(criteria, (list, tuple, dict)) or not all(
        isinstance(criterion, Criterion) for criterion in each
    ):
        raise ValueError(
            "`criteria` must be a Criterion, a list of them, or a dict "
            f"{{name: criterion}}. Received: {criteria!r}; give objects, such "
            "as `TaylorFO()`."
        )
