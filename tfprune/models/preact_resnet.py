"""Pre-activation ResNets for CIFAR-10 (He et al., 2016, arXiv:1603.05027)."""

import keras
from keras import layers

from tfprune.models import weights as weights_lib


def preact_resnet18(
    input_shape=(32, 32, 3), classes=10, width=1.0, weights=None
):
    """Returns `_preact_resnet` of 2, 2, 2 and 2 blocks of two convolutions."""
    return _preact_resnet(
        18, (2, 2, 2, 2), _basic, input_shape, classes, width, weights
    )


def preact_resnet50(
    input_shape=(32, 32, 3), classes=10, width=1.0, weights=None
):
    """Returns `_preact_resnet` of 3, 4, 6 and 3 bottleneck blocks."""
    return _preact_resnet(
        50, (3, 4, 6, 3), _bottleneck, input_shape, classes, width, weights
    )


def preact_resnet152(
    input_shape=(32, 32, 3), classes=10, width=1.0, weights=None
):
    """Returns `_preact_resnet` of 3, 8, 36 and 3 bottleneck blocks."""
    return _preact_resnet(
        152, (3, 8, 36, 3), _bottleneck, input_shape, classes, width, weights
    )


def _preact_resnet(depth, blocks, block, input_shape, classes, width, weights):
    """Returns a network whose blocks normalise and rectify, then convolve.

    The stem is a 3x3 convolution of 64; stages are of 64, 128, 256 and 512
    channels, four times as many where a block is a bottleneck, and all but the
    first begin at stride 2. Shortcuts that change the shape are 1x1
    convolutions of the rectified input.

    Args:
        depth: Number in the name.
        blocks: How many blocks each stage has.
        block: Function of a block.
        input_shape: Height, width and channels of the images.
        classes: Number of logits.
        width: Factor on the number of channels of every layer but the logits.
        weights: A file that `weights.load` reads, or `None`.
    """
    inputs = keras.Input(input_shape, name="images")
    x = _conv(inputs, round(width * 64), 3, 1, "conv1")
    for stage, count in enumerate(blocks, start=1):
        filters = round(width * 64 * 2 ** (stage - 1))
        for number in range(1, count + 1):
            strides = 2 if stage > 1 and number == 1 else 1
            x = block(x, filters, strides, f"block{stage}_{number}")
    x = layers.GlobalAveragePooling2D(name="pool")(_bn_relu(x, "last"))
    x = layers.Dense(classes, name="logits")(x)
    model = keras.Model(inputs, x, name=f"preact_resnet{depth}")
    return weights_lib.load(model, weights)


def _basic(x, filters, strides, name):
    sizes = (filters, 3, strides), (filters, 3, 1)
    return _block(x, sizes, name)


def _bottleneck(x, filters, strides, name):
    sizes = (filters, 1, 1), (filters, 3, strides), (4 * filters, 1, 1)
    return _block(x, sizes, name)


def _block(x, sizes, name):
    """Returns the sum of the shortcut and of convolutions of some sizes."""
    y = _bn_relu(x, f"{name}_conv1")
    filters, strides = sizes[-1][0], max(size[2] for size in sizes)
    if strides > 1 or x.shape[-1] != filters:
        x = _conv(y, filters, 1, strides, f"{name}_shortcut")
    for number, size in enumerate(sizes, start=1):
        if number > 1:
            y = _bn_relu(y, f"{name}_conv{number}")
        y = _conv(y, *size, f"{name}_conv{number}")
    return layers.Add(name=f"{name}_add")([x, y])


def _bn_relu(x, name):
    x = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_bn"
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _conv(x, filters, size, strides, name):
    padding = "same"
    if strides > 1 and size > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return layers.Conv2D(
        filters,
        size,
        strides,
        padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
