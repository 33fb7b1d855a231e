"""Multiply-accumulates as the authors' code counts them, to compare ratios.

`costs.cost` counts what is computed. The code of AOFP (Ding et al., 2019) does
so for VGG-16, but not for the other two networks that it prunes.
"""

import math

from keras import layers

from tfprune import costs


def resnet56_macs(model):
    """Returns them with projections counted as if their kernels were 2 x 2.

    Args:
        model: A `models.resnet56` with `shortcut="projection"`, of any widths.
    """
    projections = _macs(model, lambda layer: layer.kernel_size == (1, 1))
    return costs.cost(model).macs + 3 * projections  # Once is counted there.


def lenet5_macs(model):
    """Returns those of the convolutions alone.

    Args:
        model: A `models.lenet5`, of any widths.
    """
    return _macs(model, lambda layer: True)


def _macs(model, counts):
    """Returns those of the convolutions that a function says count."""
    return sum(
        math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
        for layer in model.layers
        if isinstance(layer, layers.Conv2D) and counts(layer)
    )
