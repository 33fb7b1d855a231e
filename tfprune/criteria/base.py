"""What criteria share: the hooks, and what becomes of tied units."""

import numpy as np
import tensorflow as tf

from tfprune import replicas

# How the scores of the places that are tied to one unit make up its score.
TIES = {
    "sum": None,  # Their contributions are added up, before `reduce`.
    "mean": tf.math.unsorted_segment_mean,
    "max": tf.math.unsorted_segment_max,
    "min": tf.math.unsorted_segment_min,
}


class Criterion:
    """Scores the units of a model; low scores go first.

    Subclasses fill in `contribution` and `reduce`, which sees the examples of
    all replicas, and need not be linear. Criteria that read no gates, like the
    oracle, override `contributions` instead.

    Args:
        ties: What the score of a unit is that several gates are tied to:
            `"sum"` adds up their contributions *before* `reduce`, as one gate
            of all of them would; `"mean"`, `"max"` and `"min"` are of the
            scores of each alone. With `"min"` a unit goes when one of its
            channels is picked alone. Defaults to `"sum"`.

    Attributes:
        signed: Whether scores may be below 0. Defaults to `False`.

    Raises:
        ValueError: If it is none of these.
    """

    ties = "sum"
    signed = False

    def __init__(self, ties="sum"):
        if not isinstance(ties, str) or ties not in TIES:
            raise ValueError(
                f"`ties` must be one of {', '.join(TIES)}. "
                f"Received: ties={ties!r}."
            )
        self.ties = ties

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
        parts, units = self._places(batch)
        return tf.transpose(
            tf.math.unsorted_segment_sum(
                tf.transpose(parts), units, batch.graph.num_units
            )
        )

    def pairs(self, batch):
        """Returns what each gate adds, pairs of its units and a contribution.

        Args:
            batch: A `Batch`.
        """
        return [
            self._pair(batch.units[path], self.contribution(tap))
            for path, tap in batch.taps.items()
        ]

    def scores(self, batch):
        """Returns the scores of the units on a batch, [num_units].

        In replica context; all replicas return the same.

        Args:
            batch: The `Batch` of this replica.

        Raises:
            ValueError: As for `contributions`, or if a hook returns another
                shape.
        """
        count = batch.graph.num_units
        combine = TIES[self.ties]
        if combine is None:
            parts = self.contributions(batch)
            parts = self._float32("contributions", parts, [None, count])
            return self._reduced(parts, count)
        parts, units = self._places(batch)
        scores = combine(self._reduced(parts, parts.shape[1]), units, count)
        return tf.where(np.isin(np.arange(count), units), scores, 0.0)

    def _reduced(self, parts, count):
        """Returns the scores of places, [count], from those of all replicas."""
        scores = self.reduce(replicas.gather_over_replicas(parts))
        return self._float32("reduce", scores, [count])

    def _places(self, batch):
        """Returns the contributions of all channels, and their units."""
        pairs = [
            (units, tf.cast(part, tf.float32))
            for units, part in self.pairs(batch)
            if part is not None
        ]
        units = [
            np.broadcast_to(units.ravel(), part.shape[-1])
            for units, part in pairs
        ]
        units = np.concatenate([*units, np.zeros(0, int)])
        self._check_all_covered(batch, units)
        if not pairs:
            return tf.zeros((1, 0)), units
        return tf.concat([part for _, part in pairs], axis=1), units

    def _pair(self, units, part):
        """Returns units and a contribution of their shape, or None."""
        if part is None:
            return units, None
        part, channels = tf.convert_to_tensor(part), units.size
        # One unit may stand for all channels.
        if part.shape.rank != 2 or channels not in (1, part.shape[1]):
            raise ValueError(
                f"{self.name} must give each channel of a gate a number for "
                f"each example, [batch, {channels}] or [1, {channels}]. "
                f"Received: shape {part.shape}."
            )
        return units, part

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

    def _float32(self, hook, values, shape):
        """Returns what a hook gave, if it is of a shape."""
        given = None if values is None else tf.convert_to_tensor(values).shape
        if given is None or not given.is_compatible_with(shape):
            numbers = ", ".join(str(length or "batch") for length in shape)
            raise ValueError(
                f"`{hook}` of {self.name} must be of shape [{numbers}], with "
                f"one number for each unit. Received: shape {given}."
            )
        return tf.cast(values, tf.float32)


class WeightCriterion(Criterion):
    """Scores units by the weights of the layers that they leave.

    Subclasses fill in `layer_contribution`, and `reduce` if the score is not
    the sum. A layer counts once, however often it is called.
    """

    def layer_contribution(self, weights):
        """Returns what a layer adds to the scores of its channels.

        Args:
            weights: The `Weights` of a layer.

        Returns:
            [channels]; None if it has no weights that this criterion reads.
        """
        raise NotImplementedError(
            f"{self.name} must implement `layer_contribution`."
        )

    def reduce(self, contributions):
        """Returns the sums, [num_units]; all replicas see the same weights."""
        return tf.reduce_mean(contributions, axis=0)

    def pairs(self, batch):
        found = (
            (units, self.layer_contribution(weights))
            for units, weights in batch.weights()
            if batch.graph.prunable[units[units >= 0]].any()
        )
        return [
            self._pair(units, None if part is None else part[tf.newaxis])
            for units, part in found
        ]


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
