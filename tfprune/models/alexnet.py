"""AlexNet (Krizhevsky et al., 2012) for CIFAR-10."""

import keras
from keras import layers

from tfprune.models import blocks
from tfprune.models import weights as weights_lib


def alexnet(
    input_shape=(32, 32, 3),
    classes=10,
    width=1.0,
    dense_units=1024,
    dropout=0.5,
    weights=None,
):
    """Returns AlexNet, whose convolutions 2, 4 and 5 are in two groups.

    Five convolutions of 96, 256, 384, 384 and 256 channels; the first, the
    second and the last are max-pooled by 3 at stride 2. Two dense layers, each
    with dropout before, and the logits.

    Unlike the paper, the first convolution is 5x5 at stride 1 in place of 11x11
    at stride 4, for images of 32 pixels; the dense layers have 1024 units
    in place of 4096; responses are not normalised.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        width: Factor on the number of channels of every convolution, rounded
            to pairs of channels. Defaults to 1.
        dense_units: Width of the two hidden dense layers. Defaults to 1024.
        dropout: Share of the activations that is dropped in training, twice.
            Defaults to 0.5.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    channels = [2 * round(width * half) for half in (48, 128, 192, 192, 128)]
    inputs = keras.Input(input_shape, name="images")
    x = blocks.conv_relu(inputs, channels[0], 5, "conv1")
    x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
    x = blocks.conv_relu(x, channels[1], 5, "conv2", groups=2)
    x = layers.MaxPooling2D(3, 2, "same", name="pool2")(x)
    x = blocks.conv_relu(x, channels[2], 3, "conv3")
    x = blocks.conv_relu(x, channels[3], 3, "conv4", groups=2)
    x = blocks.conv_relu(x, channels[4], 3, "conv5", groups=2)
    x = layers.MaxPooling2D(3, 2, "same", name="pool5")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (1, 2):
        x = layers.Dropout(dropout, name=f"dropout{number}")(x)
        x = blocks.dense_relu(x, dense_units, f"dense{number}")
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="alexnet"), weights)
