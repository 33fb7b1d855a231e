"""Network in Network (Lin et al., 2014, arXiv:1312.4400) for CIFAR-10."""

import keras
from keras import layers

from tfprune.models import blocks
from tfprune.models import weights as weights_lib


def nin(
    input_shape=(32, 32, 3), classes=10, width=1.0, dropout=0.5, weights=None
):
    """Returns three times a convolution and two of 1x1, all rectified.

    The first two are pooled by 3 at stride 2 and dropped out. The last 1x1
    convolution makes one map for each class, whose mean is the logit; it is
    rectified, too, so no logit is below 0.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        width: Factor on the number of channels of every layer but the class
            maps, rounded to whole channels. Defaults to 1.
        dropout: Share of the activations that is dropped in training, twice.
            Defaults to 0.5.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    wide = round(width * 192)
    x = blocks.conv_relu(inputs, wide, 5, "conv1")
    x = blocks.conv_relu(x, round(width * 160), 1, "cccp1_1")
    x = blocks.conv_relu(x, round(width * 96), 1, "cccp1_2")
    x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
    x = layers.Dropout(dropout, name="dropout1")(x)
    x = blocks.conv_relu(x, wide, 5, "conv2")
    x = blocks.conv_relu(x, wide, 1, "cccp2_1")
    x = blocks.conv_relu(x, wide, 1, "cccp2_2")
    x = layers.AveragePooling2D(3, 2, "same", name="pool2")(x)
    x = layers.Dropout(dropout, name="dropout2")(x)
    x = blocks.conv_relu(x, wide, 3, "conv3")
    x = blocks.conv_relu(x, wide, 1, "cccp3_1")
    x = blocks.conv_relu(x, classes, 1, "cccp3_2")
    x = layers.GlobalAveragePooling2D(name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="nin"), weights)
