"""CIFAR10-full of Caffe without response normalisation (Jia et al., 2014)."""

import keras
from keras import layers

from tfprune.models import blocks
from tfprune.models import weights as weights_lib


def cifarnet(input_shape=(32, 32, 3), classes=10, weights=None):
    """Returns three 5x5 convolutions of 32, 32 and 64, dense 64, dense logits.

    Every convolution is rectified and pooled by 3 at stride 2, the first by
    the maximum, the others by the mean of the pixels inside of the image. The
    dense layer of 64 has no activation.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    x = blocks.conv(inputs, 32, 5, "conv1", bias=True)
    x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)
    x = layers.ReLU(name="conv1_relu")(x)
    x = blocks.conv_relu(x, 32, 5, "conv2")
    x = layers.AveragePooling2D(3, 2, "same", name="pool2")(x)
    x = blocks.conv_relu(x, 64, 5, "conv3")
    x = layers.AveragePooling2D(3, 2, "same", name="pool3")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(64, name="dense1")(x)
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="cifarnet"), weights)
