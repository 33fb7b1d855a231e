"""Pre-activation ResNets for CIFAR-10 (He et al., 2016, arXiv:1603.05027)."""

import keras
from keras import layers

from tfprune.models import blocks
from tfprune.models import weights as weights_lib


def resnet(
    depth, input_shape=(32, 32, 3), classes=10, width=1.0, weights=None
):
    """Returns four stages of blocks that normalise before they convolve.

    The stages are of 64, 128, 256 and 512 channels; bottleneck blocks put out
    four times as many. All stages but the first halve the sides. Where the
    shape changes, a 1x1 convolution of the normalised and rectified input is
    the shortcut. The last sum is normalised and rectified, too.

    Unlike the paper, whose networks for CIFAR-10 have three stages that begin
    with 16 channels, the stages are those of its networks for ImageNet.

    Args:
        depth: Number of weighted layers on the longest path: 18, of basic
            blocks, or 50 or 152, of bottleneck blocks.
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        width: Factor on the number of channels of every layer but the logits,
            rounded to whole channels. Defaults to 1.
        weights: A file that `weights.load` reads. Defaults to `None`, random.

    Raises:
        ValueError: If `depth` is none of the above.
    """
    if depth not in _BLOCKS:
        raise ValueError(
            f"`depth` must be one of {sorted(_BLOCKS)}. "
            f"Received: depth={depth}."
        )
    inputs = keras.Input(input_shape, name="images")
    x = blocks.conv(inputs, round(width * 64), 3, "conv1")
    block, counts = _BLOCKS[depth]
    for stage, count in enumerate(counts, start=1):
        filters = round(width * 32 * 2**stage)
        for number in range(1, count + 1):
            strides = 2 if stage > 1 and number == 1 else 1
            x = block(x, filters, strides, f"block{stage}_{number}")
    x = _bn_relu(x, "last")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(classes, name="logits")(x)
    model = keras.Model(inputs, x, name=f"preact_resnet{depth}")
    return weights_lib.load(model, weights)


def preact_resnet18(
    input_shape=(32, 32, 3), classes=10, width=1.0, weights=None
):
    """Returns `resnet` of depth 18, two basic blocks in a stage."""
    return resnet(18, input_shape, classes, width, weights)


def preact_resnet50(
    input_shape=(32, 32, 3), classes=10, width=1.0, weights=None
):
    """Returns `resnet` of depth 50, of 3, 4, 6 and 3 bottleneck blocks."""
    return resnet(50, input_shape, classes, width, weights)


def preact_resnet152(
    input_shape=(32, 32, 3), classes=10, width=1.0, weights=None
):
    """Returns `resnet` of depth 152, of 3, 8, 36 and 3 bottleneck blocks."""
    return resnet(152, input_shape, classes, width, weights)


def _basic(x, filters, strides, name):
    x, shortcut = _branches(x, filters, strides, name)
    x = blocks.conv_bn_relu(x, filters, 3, f"{name}_conv1", strides)
    x = blocks.conv(x, filters, 3, f"{name}_conv2")
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _bottleneck(x, filters, strides, name):
    x, shortcut = _branches(x, 4 * filters, strides, name)
    x = blocks.conv_bn_relu(x, filters, 1, f"{name}_conv1")
    x = blocks.conv_bn_relu(x, filters, 3, f"{name}_conv2", strides)
    x = blocks.conv(x, 4 * filters, 1, f"{name}_conv3")
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _branches(x, filters, strides, name):
    """Returns what a block convolves, and what is added to the outcome."""
    before = _bn_relu(x, f"{name}_before")
    if x.shape[-1] == filters and strides == 1:
        return before, x
    return before, blocks.conv(
        before, filters, 1, f"{name}_shortcut", strides
    )


def _bn_relu(x, name):
    x = blocks.batch_norm(x, f"{name}_bn")
    return layers.ReLU(name=f"{name}_relu")(x)


_BLOCKS = {
    18: (_basic, (2, 2, 2, 2)),
    50: (_bottleneck, (3, 4, 6, 3)),
    152: (_bottleneck, (3, 8, 36, 3)),
}
