"""Tests for tfprune.models.cifarnet."""

import keras
import numpy as np
import pytest

from tests import convolutions
from tfprune import costs
from tfprune import models
from tfprune import tracing


def test_published_sizes():
    model = models.cifarnet()
    kernels = [25 * 3 * 32, 25 * 32 * 32, 25 * 32 * 64]
    assert convolutions.weights(model) == sum(kernels) == 79_200
    assert convolutions.channels(model) == 128
    dense = 4 * 4 * 64 * 64 + 64 * 10
    macs = np.dot(kernels, [32**2, 16**2, 8**2]) + dense
    assert costs.cost(model).macs == macs == 12_354_176
    assert tracing.trace(model).prunable.sum() == 128 + 64


def test_names():
    assert [layer.name for layer in models.cifarnet().layers] == [
        "images",
        "conv1",
        "pool1",
        "conv1_relu",
        "conv2",
        "conv2_relu",
        "pool2",
        "conv3",
        "conv3_relu",
        "pool3",
        "flatten",
        "dense1",
        "logits",
    ]


@pytest.mark.parametrize(
    "name, reduce", [("pool1", np.max), ("pool2", np.mean), ("pool3", np.mean)]
)
def test_windows_are_of_3_at_stride_2_cut_at_the_end(name, reduce):
    layer = models.cifarnet().get_layer(name)
    image = np.random.RandomState(0).randn(6, 6).astype("float32")
    begin = range(0, 6, 2)
    expected = [
        [reduce(image[i : i + 3, j : j + 3]) for j in begin] for i in begin
    ]
    found = layer(image[np.newaxis, :, :, np.newaxis])[0, :, :, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "name, gone",
    [
        ("conv1", 25 * 3 + 25 * 32),
        ("conv2", 25 * 32 + 25 * 64),
        ("conv3", 25 * 32),
    ],
)
def test_closures(name, gone):
    small = convolutions.without(models.cifarnet(), name)
    assert convolutions.weights(small) == 79_200 - gone


def test_weights(tmp_path):
    model = models.cifarnet()
    model.save(tmp_path / "base.keras")
    again = models.cifarnet(weights=tmp_path / "base.keras")
    images = np.random.RandomState(0).rand(2, 32, 32, 3).astype("float32")
    np.testing.assert_array_equal(again(images), model(images))
    activation = model.get_layer("dense1").activation
    assert activation is keras.activations.linear
