"""Tests for tfprune.models.blocks."""

import keras
import numpy as np
import pytest

from tfprune.models import blocks


def counted(size, kernel_size, strides, padding="same"):
    """Returns how many pixels lie below the kernel at each place of a row."""
    inputs = keras.Input((size, size, 1))
    outputs = blocks.conv(inputs, 1, kernel_size, "conv", strides, padding)
    model = keras.Model(inputs, outputs)
    model.get_layer("conv").kernel.assign(np.ones((kernel_size,) * 2 + (1, 1)))
    found = model(np.ones((1, size, size, 1), "float32"))[0, :, :, 0].numpy()
    row = found[1] / found[1, 1] ** 0.5
    np.testing.assert_allclose(found, np.outer(row, row), rtol=1e-6)
    return row


@pytest.mark.parametrize(
    "arguments, row",
    [
        ((6, 5, 1), [3, 4, 5, 5, 4, 3]),
        ((6, 5, 2), [3, 5, 4]),  # A border of 2: begins at -2, 0 and 2.
        ((7, 5, 2), [3, 5, 5, 3]),
        ((6, 3, 2), [2, 3, 3]),
        ((6, 1, 2), [1, 1, 1]),
        ((6, 5, 1, "valid"), [5, 5]),
        ((7, 3, 2, "valid"), [3, 3, 3]),
    ],
)
def test_padding(arguments, row):
    np.testing.assert_allclose(counted(*arguments), row, rtol=1e-6)


def test_names_and_biases():
    inputs = keras.Input((8, 8, 4))
    x = blocks.conv_bn_relu(inputs, 4, 3, "a", strides=2)
    x = blocks.conv_relu(x, 6, 3, "b", groups=2)
    model = keras.Model(inputs, blocks.dense_relu(x, 5, "c"))
    assert [layer.name for layer in model.layers[1:]] == [
        "a_pad",
        "a",
        "a_bn",
        "a_relu",
        "b",
        "b_relu",
        "c",
        "c_relu",
    ]
    assert not model.get_layer("a").use_bias
    assert model.get_layer("b").kernel.shape == (3, 3, 2, 6)
    assert model.get_layer("b").bias.shape == (6,)


def test_kernels_begin_he_normal():
    inputs = keras.Input((8, 8, 16))
    model = keras.Model(inputs, blocks.conv(inputs, 200, 5, "conv"))
    deviation = np.std(model.get_layer("conv").kernel)
    assert deviation == pytest.approx((2 / (25 * 16)) ** 0.5, rel=0.02)
