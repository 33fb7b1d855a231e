"""AlexNet for small images (Krizhevsky, Sutskever and Hinton, 2012)."""

import keras
from keras import layers

from tfprune.models import weights as weights_lib


def alexnet(input_shape=(32, 32, 3), classes=10, weights=None):
    """Returns five convolutions, three of them in two groups, and two dense.

    Widths and groups are those of the paper, 96, 256, 384, 384 and 256, of
    which the second, fourth and fifth have two groups. For images of 32x32
    pixels, unlike the paper, the first kernel is 5x5 at stride 1, batch
    normalisation takes the place of local response normalisation, and the
    dense layers are of 512 units with dropout of a half.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    x = _conv(inputs, 96, 5, 1, "conv1")
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = _conv(x, 256, 5, 2, "conv2")
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool2")(x)
    x = _conv(x, 384, 3, 1, "conv3")
    x = _conv(x, 384, 3, 2, "conv4")
    x = _conv(x, 256, 3, 2, "conv5")
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool5")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = layers.Dense(512, name=f"dense{number}")(x)
        x = layers.ReLU(name=f"dense{number}_relu")(x)
        x = layers.Dropout(0.5, name=f"dropout{number}")(x)
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="alexnet"), weights)


def _conv(x, filters, size, groups, name):
    x = layers.Conv2D(
        filters,
        size,
        padding="same",
        groups=groups,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_bn"
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x)
