"""ResNet-34 for ImageNet (He et al., 2016, arXiv:1512.03385)."""

import keras
from keras import layers

from tfprune.models import blocks
from tfprune.models import weights as weights_lib

# Filters and blocks of each stage.
_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


def resnet34(
    input_shape=(224, 224, 3), classes=1000, width=1.0, weights=None
):
    """Returns ResNet-34, which `keras.applications` lacks.

    Blocks are of two 3x3 convolutions, padded by one pixel on every side.
    Stages after the first begin at stride 2, with a 1x1 convolution as the
    shortcut (option B of the paper).

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 1000.
        width: Factor on the number of channels of every layer but the logits.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    x = _conv_bn(inputs, round(width * 64), 7, 2, "conv1")
    x = layers.ReLU(name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    for stage, (filters, count) in enumerate(_STAGES, start=1):
        for block in range(1, count + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            name = f"block{stage}_{block}"
            x = _block(x, round(width * filters), strides, name)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="resnet34"), weights)


def _block(x, filters, strides, name):
    y = _conv_bn(x, filters, 3, strides, f"{name}_conv1")
    y = layers.ReLU(name=f"{name}_conv1_relu")(y)
    y = _conv_bn(y, filters, 3, 1, f"{name}_conv2")
    if strides > 1:
        x = _conv_bn(x, filters, 1, strides, f"{name}_shortcut")
    x = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(name=f"{name}_relu")(x)


def _conv_bn(x, filters, size, strides, name):
    if size > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    return blocks.conv_bn(x, filters, size, name, strides, padding="valid")
