"""LeNets: two convolutions, then dense layers (LeCun et al., 1998)."""

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

    It is that of Caffe with batch normalisation. Every convolution is
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
    x = blocks.conv_bn_relu(inputs, 20, kernel_size, "conv1", padding)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = blocks.conv_bn_relu(x, 50, kernel_size, "conv2", padding)
    x = layers.MaxPooling2D(name="pool2")(x)
    x = _dense_relu(layers.Flatten(name="flatten")(x), 500, "dense1")
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="lenet5"), weights)


def cifar_lenet5(input_shape=(32, 32, 3), classes=10, weights=None):
    """Returns LeNet-5 as Caffe has it, without normalisation.

    The convolutions of 20 and 50 have biases and no ReLU, only max-pooling by
    2, as in Persand et al., 2020, arXiv:2004.03376.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = x = keras.Input(input_shape, name="images")
    for number, filters in enumerate((20, 50), start=1):
        x = layers.Conv2D(filters, 5, name=f"conv{number}")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
    x = _dense_relu(layers.Flatten(name="flatten")(x), 500, "dense1")
    x = layers.Dense(classes, name="logits")(x)
    model = keras.Model(inputs, x, name="cifar_lenet5")
    return weights_lib.load(model, weights)


def lenet3(input_shape=(32, 32, 3), classes=10, weights=None):
    """Returns LeNet3: convolutions of 16 and 32, dense 120 and 84, logits.

    Each convolution is rectified and max-pooled by 2, as in Molchanov et al.,
    2019, arXiv:1906.10771.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = x = keras.Input(input_shape, name="images")
    for number, filters in enumerate((16, 32), start=1):
        x = layers.Conv2D(filters, 5, name=f"conv{number}")(x)
        x = layers.ReLU(name=f"conv{number}_relu")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = _dense_relu(_dense_relu(x, 120, "dense1"), 84, "dense2")
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="lenet3"), weights)


def _dense_relu(x, units, name):
    x = layers.Dense(units, name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(x)
