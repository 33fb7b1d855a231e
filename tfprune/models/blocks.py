"""Convolution, batch normalisation and ReLU, named alike in all networks."""

from keras import layers


def conv(
    x, filters, kernel_size, name, strides=1, padding="same", groups=1,
    bias=False,
):
    """Returns `x` convolved with a kernel that starts He normal.

    That is of its fan-in (He et al., 2015, arXiv:1502.01852).

    Args:
        x: [batch, height, width, channels].
        filters: Output channels.
        kernel_size: Height and width of the kernel.
        name: Of the layer; that of a border of its own is `<name>_pad`.
        strides: Step of the kernel. Defaults to 1.
        padding: `"valid"`, or `"same"` (default) for half of the kernel on
            every side, as PyTorch pads and Keras does at stride 1 only.
        groups: As in `keras.layers.Conv2D`. Defaults to 1.
        bias: Whether to add a bias. Defaults to `False`.
    """
    if padding == "same" and strides > 1 and kernel_size > 1:
        x = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding,
        groups=groups,
        use_bias=bias,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def conv_bn(x, filters, kernel_size, name, strides=1, padding="same"):
    """Returns `conv` without a bias, then batch normalised as `<name>_bn`."""
    x = conv(x, filters, kernel_size, name, strides, padding)
    return batch_norm(x, f"{name}_bn")


def conv_bn_relu(x, filters, kernel_size, name, strides=1, padding="same"):
    """Returns the ReLU, `<name>_relu`, of `conv_bn`."""
    x = conv_bn(x, filters, kernel_size, name, strides, padding)
    return layers.ReLU(name=f"{name}_relu")(x)


def conv_relu(x, filters, kernel_size, name, padding="same", groups=1):
    """Returns the ReLU, `<name>_relu`, of `conv` with a bias at stride 1."""
    x = conv(x, filters, kernel_size, name, 1, padding, groups, bias=True)
    return layers.ReLU(name=f"{name}_relu")(x)


def dense_relu(x, units, name):
    """Returns the ReLU, `<name>_relu`, of a dense layer."""
    x = layers.Dense(units, name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def batch_norm(x, name):
    """Returns `x` batch normalised; momentum and epsilon are PyTorch's."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)
