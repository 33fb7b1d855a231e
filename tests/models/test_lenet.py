"""Tests for tfprune.models.lenet."""

import keras
import numpy as np
import pytest

from tests import convolutions
from tests import versions
from tfprune import costs
from tfprune import models
from tfprune import tracing


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


def test_sizes_for_cifar10():
    model = models.cifar_lenet5()
    assert convolutions.weights(model) == 25 * 3 * 20 + 25 * 20 * 50 == 26_500
    assert convolutions.channels(model) == 70
    assert costs.cost(model).macs == (
        28**2 * 1_500 + 10**2 * 25_000 + 1250 * 500 + 500 * 10
    )
    dense = [model.get_layer(name) for name in ("dense1", "logits")]
    assert sum(np.prod(layer.kernel.shape) for layer in dense) == 630_000


def test_convolutions_for_cifar10_are_linear():
    assert [layer.name for layer in models.cifar_lenet5().layers] == [
        "images",
        "conv1",
        "pool1",
        "conv2",
        "pool2",
        "flatten",
        "dense1",
        "dense1_relu",
        "logits",
    ]
    for name in ("conv1", "conv2"):
        layer = models.cifar_lenet5().get_layer(name)
        assert layer.activation is keras.activations.linear
        assert layer.use_bias


@pytest.mark.parametrize(
    "name, left, columns",
    [("conv1", 26_500 - 1_325, 0), ("conv2", 26_500 - 500, 25)],
)
def test_closures_for_cifar10(name, left, columns):
    small = convolutions.without(models.cifar_lenet5(), name)
    assert convolutions.weights(small) == left
    assert small.get_layer("dense1").kernel.shape == (1250 - columns, 500)


def test_lenet3():
    model = models.lenet3()
    assert convolutions.weights(model) == 25 * 3 * 16 + 25 * 16 * 32
    dense = 25 * 32 * 120 + 120 * 84 + 84 * 10
    assert trainable(model) == 14_000 + dense + 16 + 32 + 120 + 84 + 10
    assert costs.cost(model).macs == 28**2 * 1_200 + 10**2 * 12_800 + dense
    graph = tracing.trace(model)
    assert graph.prunable.sum() == 16 + 32 + 120 + 84
    assert [layer.name for layer in model.layers] == [
        "images",
        "conv1",
        "conv1_relu",
        "pool1",
        "conv2",
        "conv2_relu",
        "pool2",
        "flatten",
        "dense1",
        "dense1_relu",
        "dense2",
        "dense2_relu",
        "logits",
    ]


def test_lenet3_for_mnist():
    model = models.lenet3((28, 28, 1))
    assert model.get_layer("pool2").output.shape == (None, 4, 4, 32)


@pytest.mark.parametrize("build", [models.cifar_lenet5, models.lenet3])
def test_weights(build, tmp_path):
    model = build()
    model.save(tmp_path / "base.keras")
    again = build(weights=tmp_path / "base.keras")
    for weight, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, other)
