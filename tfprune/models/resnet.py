"""Residual networks of basic blocks (He et al., 2016, arXiv:1512.03385)."""

import keras
from keras import layers
from keras import ops

from tfprune.models import blocks
from tfprune.models import weights as weights_lib


def resnet(
    depth,
    shortcut="pad",
    input_shape=(32, 32, 3),
    classes=10,
    width=1.0,
    weights=None,
):
    """Returns ResNet-(6n+2) for CIFAR-10: stages of 16, 32 and 64 channels.

    A stage is n basic blocks, each two 3x3 convolutions whose sum with the
    shortcut is rectified. Stages 2 and 3 begin with stride 2, padded by one
    pixel on every side, as PyTorch does and `padding="same"` does not.

    Args:
        depth: Number of weighted layers on the longest path, 6n + 2, n >= 1.
        shortcut: What joins two stages. `"pad"`, without parameters: every
            second position, with zero channels on both sides (option A of the
            paper). `"projection"`: a 1x1 convolution of stride 2 with batch
            normalisation (option B).
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        width: Factor on the number of channels of every layer but the logits,
            rounded to whole channels. Defaults to 1.
        weights: A file that `weights.load` reads. Defaults to `None`, random.

    Raises:
        ValueError: If `depth` or `shortcut` is none of the above.
    """
    if depth < 8 or depth % 6 != 2:
        raise ValueError(
            "`depth` must be 6n + 2 with n >= 1, such as 8, 20 or 56. "
            f"Received: depth={depth}."
        )
    if shortcut not in _SHORTCUTS:
        raise ValueError(
            f"`shortcut` must be one of {sorted(_SHORTCUTS)}. "
            f"Received: shortcut={shortcut!r}."
        )
    inputs = keras.Input(input_shape, name="images")
    widths = [round(width * filters) for filters in (16, 32, 64)]
    x = blocks.conv_bn_relu(inputs, widths[0], 3, "conv1")
    counts = [(depth - 2) // 6] * 3
    x = _stages(x, widths, counts, _SHORTCUTS[shortcut])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(classes, name="logits")(x)
    model = keras.Model(inputs, x, name=f"resnet{depth}")
    return weights_lib.load(model, weights)


def resnet20(
    shortcut="pad",
    input_shape=(32, 32, 3),
    classes=10,
    width=1.0,
    weights=None,
):
    """Returns `resnet` of depth 20, three blocks in a stage."""
    return resnet(20, shortcut, input_shape, classes, width, weights)


def resnet32(
    shortcut="pad",
    input_shape=(32, 32, 3),
    classes=10,
    width=1.0,
    weights=None,
):
    """Returns `resnet` of depth 32, five blocks in a stage."""
    return resnet(32, shortcut, input_shape, classes, width, weights)


def resnet56(
    shortcut="pad",
    input_shape=(32, 32, 3),
    classes=10,
    width=1.0,
    weights=None,
):
    """Returns `resnet` of depth 56, nine blocks in a stage."""
    return resnet(56, shortcut, input_shape, classes, width, weights)


def resnet34(
    input_shape=(224, 224, 3), classes=1000, width=1.0, weights=None
):
    """Returns ResNet-34 for ImageNet: 64, 128, 256 and 512 channels.

    A 7x7 convolution of stride 2 and a max-pooling by 3 at stride 2, then
    stages of 3, 4, 6 and 3 basic blocks, joined by projections. All borders
    are padded as PyTorch does. 21,797,672 trainable parameters by default.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 1000.
        width: Factor on the number of channels of every layer but the logits,
            rounded to whole channels. Defaults to 1.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = keras.Input(input_shape, name="images")
    widths = [round(width * filters) for filters in (64, 128, 256, 512)]
    x = blocks.conv_bn_relu(inputs, widths[0], 7, "conv1", strides=2)
    # Zeros are as good as any border below the maximum of what is rectified.
    x = layers.ZeroPadding2D(1, name="conv1_pool_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="conv1_pool")(x)
    x = _stages(x, widths, (3, 4, 6, 3), _project)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="resnet34"), weights)


def _stages(x, widths, counts, join):
    """Returns stages of basic blocks; all but the first halve the sides."""
    for stage, (filters, count) in enumerate(zip(widths, counts), start=1):
        for block in range(1, count + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            shortcut = join if strides > 1 else _identity
            x = _block(x, filters, strides, shortcut, f"block{stage}_{block}")
    return x


def _block(x, filters, strides, shortcut, name):
    y = blocks.conv_bn_relu(x, filters, 3, f"{name}_conv1", strides)
    y = blocks.conv_bn(y, filters, 3, f"{name}_conv2")
    x = shortcut(x, filters, f"{name}_shortcut")
    x = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(name=f"{name}_relu")(x)


def _identity(x, filters, name):
    return x


def _pad(x, filters, name):
    x = layers.MaxPooling2D(1, strides=2, name=f"{name}_pool")(x)
    zeros = filters - x.shape[-1]
    before = zeros // 2
    return ops.pad(x, ((0, 0), (0, 0), (0, 0), (before, zeros - before)))


def _project(x, filters, name):
    return blocks.conv_bn(x, filters, 1, name, strides=2)


_SHORTCUTS = {"pad": _pad, "projection": _project}
