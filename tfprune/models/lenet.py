"""LeNets (LeCun et al., 1998), as the papers on pruning take them."""

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
    """Returns LeNet-5 of Caffe with batch normalisation.

    Two convolutions of 20 and 50, dense 500, dense logits. Every convolution is
    normalised, rectified and max-pooled by 2. The defaults are for MNIST; the
    8x8 digits want `input_shape=(8, 8, 1)`, `kernel_size=3` and
    `padding="same"`.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        kernel_size: Of both convolutions. Defaults to 5.
        padding: Of both convolutions, `"valid"` (default) or `"same"`.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    x = blocks.conv_bn_relu(inputs, 20, kernel_size, "conv1", padding=padding)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = blocks.conv_bn_relu(x, 50, kernel_size, "conv2", padding=padding)
    x = layers.MaxPooling2D(name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = blocks.dense_relu(x, 500, "dense1")
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="lenet5"), weights)


def cifar_lenet5(input_shape=(32, 32, 3), classes=10, weights=None):
    """Returns LeNet-5 of Caffe for CIFAR-10, without normalisation.

    Two 5x5 convolutions of 20 and 50 with biases, each max-pooled by 2 and not
    rectified, dense 500 with a ReLU, dense logits.

    Args:
        input_shape: Height, width and channels of the images; 16 or more
            pixels on a side.
        classes: Number of logits. Defaults to 10.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    x = layers.Conv2D(20, 5, name="conv1")(inputs)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Conv2D(50, 5, name="conv2")(x)
    x = layers.MaxPooling2D(name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = blocks.dense_relu(x, 500, "dense1")
    x = layers.Dense(classes, name="logits")(x)
    model = keras.Model(inputs, x, name="cifar_lenet5")
    return weights_lib.load(model, weights)


def lenet3(input_shape=(32, 32, 3), classes=10, weights=None):
    """Returns LeNet3 (Molchanov et al., 2019, arXiv:1906.10771).

    Two 5x5 convolutions of 16 and 32, each rectified and max-pooled by 2, dense
    120 and 84 with a ReLU each, dense logits.

    Args:
        input_shape: Height, width and channels of the images; 16 or more
            pixels on a side.
        classes: Number of logits. Defaults to 10.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    x = blocks.conv_relu(inputs, 16, 5, "conv1", "valid")
    x = layers.MaxPooling2D(name="pool1")(x)
    x = blocks.conv_relu(x, 32, 5, "conv2", "valid")
    x = layers.MaxPooling2D(name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = blocks.dense_relu(x, 120, "dense1")
    x = blocks.dense_relu(x, 84, "dense2")
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="lenet3"), weights)
