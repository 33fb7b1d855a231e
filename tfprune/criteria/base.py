"""What every criterion shares: the gates it reads and the two hooks."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfprune import graph as graph_lib


class Tap(NamedTuple):
    """One gate seen on one batch; uses of a shared gate lie side by side."""

    layers: tuple  # the chain that the gate closes, e.g. (Conv2D, ReLU)
    output: tf.Tensor  # [batch, ..., channels]
    output_grad: tf.Tensor  # [batch, ..., channels], d(per-example loss)
    filters: tf.Tensor = None  # [fan_in, channels], the kernel of the chain


class Batch(NamedTuple):
    """One batch on one replica, and all that a criterion may read of it."""

    taps: dict  # {path of the gate: Tap}
    units: dict  # {path of the gate: its units, an array as in `Node`}
    inputs: object
    labels: object
    model: object  # the masked model
    program: object  # its `Program`
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
            ValueError: If no gate of a unit has what the criterion reads;
                names the layer.
        """
        parts, units = [], []
        for path, tap in batch.taps.items():
            part = self.contribution(tap)
            if part is not None:
                row = batch.units[path].ravel()
                parts.append(part)
                units.append(np.broadcast_to(row, part.shape[-1]))
        units = np.concatenate(units) if units else np.zeros(0, int)
        self._check_all_covered(batch, units)
        total = tf.math.unsorted_segment_sum(
            tf.transpose(tf.concat(parts, axis=1)),
            units,
            batch.graph.num_units,
        )
        return tf.transpose(total)

    def _check_all_covered(self, batch, units):
        prunable = np.flatnonzero(batch.graph.prunable)
        missed = np.setdiff1d(prunable, units)
        if len(missed):
            name = batch.graph.owners[int(missed[0])].path
            raise ValueError(
                f"{self.name} must find what it reads at a gate of every "
                f"prunable unit. Received none for {len(missed)} units, first "
                f"of layer {name!r}. Freeze them with "
                "`trace(model, frozen=...)` or use another criterion."
            )
