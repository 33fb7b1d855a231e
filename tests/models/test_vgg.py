"""Tests for tfprune.models.vgg."""

import numpy as np
import pytest

from tests import versions
from tfprune import costs
from tfprune import models
from tfprune import tracing


def trainable(model):
    return sum(np.prod(v.shape) for v in model.trainable_variables)


def test_published_sizes():
    model = models.vgg16()
    assert trainable(model) == 14_986_698
    assert costs.cost(model).macs == 313_463_808
    kernels = [v for v in model.trainable_variables if v.name == "kernel"]
    assert sum(np.prod(kernel.shape) for kernel in kernels) == 14_977_728


def test_sizes_of_vgg11():
    model = models.vgg11()
    widths = (3, 64, 128, 256, 256, 512, 512, 512, 512)
    kernels = [9 * a * b for a, b in zip(widths, widths[1:])]
    dense = 512 * 512 * 2 + 512 * 10
    normalised = sum(widths[1:]) + 2 * 512
    assert trainable(model) == sum(kernels) + dense + 2 * normalised + 10
    places = [side**2 for side in (32, 16, 8, 8, 4, 4, 2, 2)]
    assert costs.cost(model).macs == dense + np.dot(kernels, places)
    graph = tracing.trace(model)
    assert graph.prunable.sum() == normalised == 3776


def test_vgg11_normalises_before_every_relu():
    model = models.vgg11(width=1 / 64)
    names = [layer.name for layer in model.layers]
    found = [name for name in names if name.endswith("_relu")]
    assert len(found) == 10
    for name in found:
        place = names.index(name)
        layer = name.removesuffix("_relu")
        assert names[place - 2 : place] == [layer, f"{layer}_bn"]
        assert not model.get_layer(layer).use_bias


def test_shapes_and_names():
    model = models.vgg16(width=1 / 64)
    shapes = {
        "block1_conv2_relu": (None, 32, 32, 1),
        "block3_conv3_bn": (None, 8, 8, 4),
        "block5_pool": (None, 1, 1, 8),
        "dense1_relu": (None, 8),
        "logits": (None, 10),
    }
    for name, shape in shapes.items():
        assert model.get_layer(name).output.shape == shape


def test_width_scales_all_but_the_logits():
    model = models.vgg16(classes=5, width=0.125)
    widths = [
        variable.shape[-1]
        for variable in model.trainable_variables
        if variable.name == "kernel"
    ]
    assert widths == [8] * 2 + [16] * 2 + [32] * 3 + [64] * 7 + [5]


@pytest.mark.parametrize("build", [models.vgg11, models.vgg16])
def test_width_of_nothing(build):
    with pytest.raises(ValueError, match="filters=0"):
        build(width=0.001)


@versions.needs_keras("3.15")
def test_images_too_small():
    with pytest.raises(ValueError, match="zero or negative"):
        models.vgg16((28, 28, 1), width=0.125)


@pytest.mark.parametrize("build", [models.vgg11, models.vgg16])
def test_weights(build, tmp_path):
    model = build(width=1 / 64)
    path = tmp_path / "vgg.keras"
    model.save(path)
    again = build(width=1 / 64, weights=path)
    for weight, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, other)
