"""LeNet-5 of Caffe with batch normalisation (LeCun et al., 1998)."""

import keras
from keras import layers

from tfprune.models import blocks
from tfprune.models import weights as weights_lib


def lenet5(
    input_shape=(28, 28, 1),
    classes=10,
    kernel_size=5,
    padding="valid",
    weights=None,
):
    """Returns LeNet-5: two convolutions of 20 and 50, dense 500, dense logits.

    Every convolution is normalised, rectified and max-pooled by 2. The
    defaults are for MNIST; the 8x8 digits want `input_shape=(8, 8, 1)`,
    `kernel_size=3` and `padding="same"`.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        kernel_size: Of both convolutions. Defaults to 5.
        padding: Of both convolutions, `"valid"` (default) or `"same"`.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    x = blocks.conv_bn_relu(inputs, 20, kernel_size, "conv1", padding)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = blocks.conv_bn_relu(x, 50, kernel_size, "conv2", padding)
    x = layers.MaxPooling2D(name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(500, name="dense1")(x)
    x = layers.ReLU(name="dense1_relu")(x)
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="lenet5"), weights)
