"""VGG for small images (Simonyan and Zisserman, 2015, arXiv:1409.1556)."""

import keras
from keras import layers

from tfprune.models import blocks
from tfprune.models import weights as weights_lib

_WIDTHS_11 = ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2)
_WIDTHS_16 = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)


def vgg11(input_shape=(32, 32, 3), classes=10, width=1.0, weights=None):
    """Returns VGG-11, each convolution and hidden dense layer normalised.

    Unlike the first paper, the dense head is two layers of 512 units, batch
    normalised and without dropout, and the logits, for CIFAR-10 as in the
    experiments of Molchanov et al., 2019, arXiv:1906.10771.

    Args:
        input_shape: Height, width and channels of the images; 32 or more
            pixels on a side, for five poolings.
        classes: Number of logits. Defaults to 10.
        width: Factor on the number of channels of every layer but the logits,
            rounded to whole channels. Defaults to 1.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    x = _features(inputs, _WIDTHS_11, width)
    for name in ("dense1", "dense2"):
        x = layers.Dense(round(width * 512), use_bias=False, name=name)(x)
        x = blocks.batch_norm(x, f"{name}_bn")
        x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="vgg11"), weights)


def vgg16(input_shape=(32, 32, 3), classes=10, width=1.0, weights=None):
    """Returns VGG-16 with batch normalisation and one hidden dense layer.

    Unlike the paper, the dense head is 512 ReLU units and the logits, as is
    usual for CIFAR-10. 14,986,698 trainable parameters by default.

    Args:
        input_shape: Height, width and channels of the images; 32 or more
            pixels on a side, for five poolings.
        classes: Number of logits. Defaults to 10.
        width: Factor on the number of channels of every layer but the logits,
            rounded to whole channels. Defaults to 1.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    x = _features(inputs, _WIDTHS_16, width)
    x = blocks.dense_relu(x, round(width * 512), "dense1")
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="vgg16"), weights)


def _features(x, widths, width):
    """Returns five blocks of convolutions and a pooling, flattened."""
    for block, filters in enumerate(widths, start=1):
        for conv, count in enumerate(filters, start=1):
            name = f"block{block}_conv{conv}"
            x = blocks.conv_bn_relu(x, round(width * count), 3, name)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return layers.Flatten(name="flatten")(x)
