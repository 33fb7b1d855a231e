"""Saliencies of feature maps (Persand et al., 2021, IEEE Access 9)."""

import tensorflow as tf

from tfprune.criteria import base
from tfprune.criteria import pointwise as pointwise_lib
from tfprune.criteria import reductions


class Saliency(base.Criterion):
    """A pointwise saliency of activations, reduced to channels.

    Activations are the outputs of units, before a ReLU that is a layer of its
    own. Gradients are those of the loss of each example, not of the mean loss.

    Args:
        pointwise: A function of `criteria.pointwise`. Those of second
            derivatives take them by layers, in inference mode.
        reduction: An object of `criteria.reductions`.
        per_point: Whether to divide by the number of positions. Defaults to
            `False`.
        ties: As for `Criterion`. Defaults to `"sum"`.

    Raises:
        ValueError: If an argument is something else.
    """

    def __init__(self, pointwise, reduction, per_point=False, ties="sum"):
        super().__init__(ties)
        reductions.check(pointwise, reduction)
        self.pointwise = pointwise
        self.reduction = reduction
        self.signed = reduction.signed
        self.per_point = per_point

    @property
    def name(self):
        reduction = type(self.reduction).__name__
        return f"{type(self).__name__}_{self.pointwise.__name__}_{reduction}"

    def pairs(self, batch):
        return [
            (batch.units[path], self._of_tap(batch, path, tap))
            for path, tap in batch.taps.items()
        ]

    def reduce(self, contributions):
        """Returns the saliencies, [num_units]."""
        return tf.reduce_mean(self.reduction.example(contributions), axis=0)

    def _of_tap(self, batch, path, tap):
        points = pointwise_lib.Points(
            tap.output,
            lambda: tap.output_grad,
            lambda: batch.curvatures()[path],
        )
        parts = self.reduction.point(self.pointwise(points))
        summed = tf.reduce_sum(parts, list(range(1, parts.shape.rank - 1)))
        if not self.per_point:
            return summed
        return summed / tf.cast(tap.positions, summed.dtype)
