"""Network in Network (Lin, Chen and Yan, 2014, arXiv:1312.4400)."""

import keras
from keras import layers

from tfprune.models import weights as weights_lib

# Filters and kernel sizes of each block.
_BLOCKS = (
    ((192, 5), (160, 1), (96, 1)),
    ((192, 5), (192, 1), (192, 1)),
    ((192, 3), (192, 1)),
)


def nin(input_shape=(32, 32, 3), classes=10, weights=None):
    """Returns nine rectified convolutions, whose last maps are the classes.

    The first block is max-pooled and the second mean-pooled, both by 3x3
    windows at stride 2, and followed by dropout of a half; each class is the
    mean of its map.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = x = keras.Input(input_shape, name="images")
    pools = (layers.MaxPooling2D, layers.AveragePooling2D)
    for number, block in enumerate(_BLOCKS, start=1):
        for place, (filters, size) in enumerate(block, start=1):
            x = _conv_relu(x, filters, size, f"conv{number}_{place}")
        if number <= len(pools):
            name = f"pool{number}"
            x = pools[number - 1](3, 2, padding="same", name=name)(x)
            x = layers.Dropout(0.5, name=f"dropout{number}")(x)
    x = _conv_relu(x, classes, 1, "conv3_3")
    x = layers.GlobalAveragePooling2D(name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="nin"), weights)


def _conv_relu(x, filters, size, name):
    x = layers.Conv2D(
        filters,
        size,
        padding="same",
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x)
