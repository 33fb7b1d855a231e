"""Tests for tfprune.models.lenet."""

import numpy as np
import pytest

from tests import versions
from tfprune import costs
from tfprune import models


def test_sizes_for_mnist():
    model = models.lenet5()
    # Kernels, normalisation, dense layers with biases.
    kernels = 25 * 20 + 25 * 20 * 50
    dense = (4 * 4 * 50 + 1) * 500 + (500 + 1) * 10
    assert trainable(model) == kernels + 2 * (20 + 50) + dense
    convolutions = 24**2 * 25 * 20 + 8**2 * 25 * 20 * 50
    assert convolutions == 1_888_000
    assert costs.cost(model).macs == convolutions + 800 * 500 + 500 * 10
    assert model.get_layer("conv1_relu").output.shape == (None, 24, 24, 20)
    assert model.get_layer("pool2").output.shape == (None, 4, 4, 50)
    assert model.output.shape == (None, 10)


def trainable(model):
    return sum(np.prod(v.shape) for v in model.trainable_variables)


def test_digits():
    model = models.lenet5((8, 8, 1), kernel_size=3, padding="same")
    assert model.get_layer("pool1").output.shape == (None, 4, 4, 20)
    assert model.get_layer("pool2").output.shape == (None, 2, 2, 50)
    assert model(np.zeros((2, 8, 8, 1), "float32")).shape == (2, 10)


def test_names():
    model = models.lenet5(classes=3)
    assert [layer.name for layer in model.layers] == [
        "images",
        "conv1",
        "conv1_bn",
        "conv1_relu",
        "pool1",
        "conv2",
        "conv2_bn",
        "conv2_relu",
        "pool2",
        "flatten",
        "dense1",
        "dense1_relu",
        "logits",
    ]


def test_returns_logits():
    images = np.random.RandomState(0).rand(4, 28, 28, 1)
    assert models.lenet5()(images).numpy().min() < 0


def test_normalisation_constants():
    bn = models.lenet5().get_layer("conv1_bn")
    assert (bn.momentum, bn.epsilon) == (0.9, 1e-5)


@versions.needs_keras("3.14")
def test_images_too_small_for_valid_padding():
    with pytest.raises(ValueError, match="zero or negative|negative dimension"):
        models.lenet5((8, 8, 1))
