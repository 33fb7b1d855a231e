"""CIFAR-10 quick network of Caffe (Krizhevsky's cuda-convnet, 2012)."""

import keras
from keras import layers

from tfprune.models import weights as weights_lib


def cifarnet(input_shape=(32, 32, 3), classes=10, weights=None):
    """Returns three 5x5 convolutions of 32, 32 and 64, dense 64, dense logits.

    The first is max-pooled, then rectified; the others are rectified, then
    mean-pooled; windows are 3x3 at stride 2. The dense layer has no
    activation. It is the "CIFAR10" network of Persand et al., 2020,
    arXiv:2004.03376.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    x = layers.Conv2D(32, 5, padding="same", name="conv1")(inputs)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = layers.ReLU(name="conv1_relu")(x)
    for number, filters in ((2, 32), (3, 64)):
        name = f"conv{number}"
        x = layers.Conv2D(filters, 5, padding="same", name=name)(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
        name = f"pool{number}"
        x = layers.AveragePooling2D(3, 2, padding="same", name=name)(x)
    x = layers.Dense(64, name="dense1")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="cifarnet"), weights)
