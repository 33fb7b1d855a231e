"""How the points of a channel make up its saliency (Persand et al., 2021).

A saliency is the mean over examples of what `example` makes of the sum of what
`point` makes of each point.
"""

import tensorflow as tf


class Sum:
    """The sum over the points; NONE in the paper's code.

    Attributes:
        signed: Whether saliencies may be below 0.
    """

    signed = True

    def point(self, x):
        """Returns what is added up, of the shape of `x`."""
        return x

    def example(self, x):
        """Returns what is made of the sums, [batch, channels]."""
        return x


class L1(Sum):
    """The sum of sizes."""

    signed = False

    def point(self, x):
        return tf.abs(x)


class L2(Sum):
    """The sum of squares; no root is taken."""

    signed = False

    def point(self, x):
        return tf.square(x)


class AbsSum(Sum):
    """The size of the sum of each example."""

    signed = False

    def example(self, x):
        return tf.abs(x)


class SquareSum(Sum):
    """The square of the sum of each example."""

    signed = False

    def example(self, x):
        return tf.square(x)


def check(pointwise, reduction):
    """Raises an error if a saliency is not made of a function and an object.

    Args:
        pointwise: A function of `Points`.
        reduction: One of the reductions.

    Raises:
        ValueError: If one is something else.
    """
    if not callable(pointwise) or not hasattr(pointwise, "__name__"):
        raise ValueError(
            "`pointwise` must be a function of `criteria.pointwise`. "
            f"Received: pointwise={pointwise!r}."
        )
    if not isinstance(reduction, Sum):
        raise ValueError(
            "`reduction` must be an object of a class of "
            f"`criteria.reductions`. Received: reduction={reduction!r}."
        )
