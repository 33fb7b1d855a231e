"""What is left of the positions of each channel, for a `Predictor`.

Each is a function of `x`, [batch, height, width, channels], and of `axes`,
which it reduces to 1.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfprune")
def l1(x, axes):
    """Returns the mean of the absolute values."""
    return ops.mean(ops.abs(x), axes, keepdims=True)


@keras.saving.register_keras_serializable(package="tfprune")
def l2(x, axes):
    """Returns the mean of the squares."""
    return ops.mean(ops.square(x), axes, keepdims=True)


@keras.saving.register_keras_serializable(package="tfprune")
def mean(x, axes):
    """Returns the mean, that of the absolute values of what is rectified."""
    return ops.mean(x, axes, keepdims=True)


@keras.saving.register_keras_serializable(package="tfprune")
def largest(x, axes):
    """Returns the maximum."""
    return ops.max(x, axes, keepdims=True)
