"""What one activation or weight is worth: the pointwise part of saliencies.

Each is a function of `Points`, equations of Persand et al. (2021), "Taxonomy
of Saliency Metrics for Channel Pruning", IEEE Access 9.
"""

import functools


class Points:
    """Numbers, and the derivatives of the loss of their example to them.

    Args:
        value: [batch, points, channels].
        gradient: Function that returns the first derivatives, of that shape.
        curvature: Function that returns the second derivatives.

    Attributes:
        value: As given.
    """

    def __init__(self, value, gradient, curvature):
        self.value = value
        self._gradient = gradient
        self._curvature = curvature

    @functools.cached_property
    def gradient(self):
        """First derivatives, [batch, points, channels]."""
        return self._gradient()

    @functools.cached_property
    def curvature(self):
        """Diagonal second derivatives, [batch, points, channels]."""
        return self._curvature()


def value(x):
    """Returns the numbers themselves, AVERAGE_INPUT."""
    return x.value


def gradient(x):
    """Returns their gradients, AVERAGE_GRADIENT."""
    return x.gradient


def taylor(x):
    """Returns the first-order change of the loss without each, TAYLOR."""
    return -x.value * x.gradient


def hessian(x):
    """Returns the second-order term, HESSIAN_DIAG_APPROX1."""
    return 0.5 * x.value**2 * x.curvature


def fisher(x):
    """Returns that term by squared gradients, HESSIAN_DIAG_APPROX2."""
    return 0.5 * (x.value * x.gradient) ** 2


def taylor_hessian(x):
    """Returns the second-order change of the loss, TAYLOR_2ND_APPROX1."""
    return taylor(x) + hessian(x)


def taylor_fisher(x):
    """Returns that change by squared gradients, TAYLOR_2ND_APPROX2."""
    return taylor(x) + fisher(x)
