"""Convolution, batch normalisation and ReLU, named alike in all networks."""

from keras import layers


def conv_bn(x, filters, kernel_size, name, strides=1, padding="same"):
    """Returns `x` convolved without a bias, then batch normalised.

    The kernel starts He normal (He et al., 2015, arXiv:1502.01852) over its
    fan-in; momentum and epsilon are PyTorch's defaults in the terms of Keras.

    Args:
        x: [batch, height, width, channels].
        filters: Output channels.
        kernel_size: Height and width of the kernel.
        name: Name of the convolution; the normalisation is `<name>_bn`.
        strides: Step of the kernel. Defaults to 1.
        padding: As in `keras.layers.Conv2D`. Defaults to `"same"`.
    """
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_bn"
    )(x)


def conv_bn_relu(x, filters, kernel_size, name, padding="same"):
    """Returns the ReLU, `<name>_relu`, of `conv_bn` at stride 1."""
    x = conv_bn(x, filters, kernel_size, name, padding=padding)
    return layers.ReLU(name=f"{name}_relu")(x)
