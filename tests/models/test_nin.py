"""Tests for tfprune.models.nin."""

import numpy as np
import pytest

from tests import convolutions
from tfprune import costs
from tfprune import models
from tfprune import tracing

WIDTHS = (192, 160, 96, 192, 192, 192, 192, 192, 10)
SIZES = (5, 1, 1, 5, 1, 1, 3, 1, 1)


def test_published_sizes():
    model = models.nin()
    before = (3, *WIDTHS)
    kernels = [k**2 * a * b for k, a, b in zip(SIZES, before, WIDTHS)]
    assert convolutions.weights(model) == sum(kernels) == 965_568
    assert convolutions.channels(model) == sum(WIDTHS) == 1_418
    places = [side**2 for side in (32, 16, 8) for _ in range(3)]
    assert costs.cost(model).macs == np.dot(kernels, places) == 222_486_528


def test_class_maps_are_not_prunable():
    model = models.nin(width=1 / 16)
    graph = tracing.trace(model)
    units = graph.layer_units("cccp3_2")
    assert len(units) == 10
    assert {graph.reasons[unit] for unit in units} == {"model output"}
    assert graph.prunable.sum() == sum(WIDTHS[:-1]) / 16
    np.testing.assert_array_equal(units, graph.layer_units("logits"))


@pytest.mark.parametrize(
    "name, gone",
    [
        ("conv1", 25 * 3 + 160),
        ("cccp1_2", 160 + 25 * 192),
        ("cccp3_1", 192 + 10),
    ],
)
def test_closures(name, gone):
    small = convolutions.without(models.nin(), name)
    assert convolutions.weights(small) == 965_568 - gone
    assert small.get_layer("conv1").kernel.shape[2] == 3
    assert small.output_shape == (None, 10)


def test_every_convolution_is_rectified():
    model = models.nin(width=1 / 16)
    names = [layer.name for layer in model.layers]
    for name in names:
        if name.startswith(("conv", "cccp")) and not name.endswith("_relu"):
            assert names[names.index(name) + 1] == f"{name}_relu"
            assert model.get_layer(name).use_bias
    images = np.random.RandomState(0).randn(8, 32, 32, 3).astype("float32")
    logits = model(images).numpy()
    assert logits.min() >= 0 and logits.max() > 0


def test_dropout_is_of_the_training_alone():
    model = models.nin(width=1 / 16)
    images = np.ones((1, 32, 32, 3), "float32")
    outputs = [model(images, training=x) for x in (False, False, True)]
    np.testing.assert_array_equal(*outputs[:2])
    assert np.abs(outputs[0] - outputs[2]).max() > 0


def test_weights(tmp_path):
    model = models.nin(width=1 / 16)
    model.save(tmp_path / "base.keras")
    again = models.nin(width=1 / 16, weights=tmp_path / "base.keras")
    for weight, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_width_of_nothing():
    with pytest.raises(ValueError, match="filters=0"):
        models.nin(width=0.001)
