"""Tests for tfprune.models.alexnet."""

import numpy as np
import pytest

from tests import convolutions
from tests import zoo
from tfprune import compaction
from tfprune import costs
from tfprune import masking
from tfprune import models
from tfprune import tracing
from tfprune import verification

TINY = {"width": 1 / 16, "dense_units": 12}


def test_sizes():
    model = models.alexnet()
    kernels = [
        25 * 3 * 96,
        25 * 48 * 256,
        9 * 256 * 384,
        9 * 192 * 384,
        9 * 192 * 256,
    ]
    assert convolutions.weights(model) == sum(kernels) == 2_305_056
    assert convolutions.channels(model) == 96 + 256 + 384 + 384 + 256
    dense = 4 * 4 * 256 * 1024 + 1024**2 + 1024 * 10
    places = [32**2, 16**2, 8**2, 8**2, 8**2]
    assert costs.cost(model).macs == np.dot(kernels, places) + dense


def test_groups():
    model = models.alexnet(**TINY)
    found = [model.get_layer(f"conv{n}").groups for n in range(1, 6)]
    assert found == [1, 2, 1, 2, 2]


@pytest.mark.parametrize("name", ["conv1", "conv2", "conv3", "conv4", "conv5"])
def test_channels_go_with_the_same_place_of_the_other_group(name):
    graph = tracing.trace(models.alexnet(**TINY))
    one, two = np.split(graph.layer_units(name), 2)
    assert len(set(one)) == len(one)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "name, gone",
    [
        # Two channels, and the input of a group that is of each.
        ("conv1", 2 * 25 * 3 + 25 * 256),
        ("conv2", 2 * 25 * 48 + 2 * 9 * 384),
        ("conv3", 2 * 9 * 256 + 9 * 384),
        ("conv4", 2 * 9 * 192 + 9 * 256),
        ("conv5", 2 * 9 * 192),
    ],
)
def test_closures(name, gone):
    small = convolutions.without(models.alexnet(dense_units=8), name)
    assert convolutions.weights(small) == 2_305_056 - gone


@pytest.mark.parametrize("seed", range(3))
def test_compacted_equals_masked(seed):
    model = models.alexnet(**TINY)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    masking.set_mask(masked, graph, zoo.random_keep(graph, seed))
    small = compaction.compact(masked)
    inputs = verification.random_inputs(model, seed=seed)
    expected = masked(inputs).numpy()
    assert np.abs(expected - model(inputs)).max() > 1e-2
    np.testing.assert_allclose(
        small(inputs), expected, atol=1e-5 * np.abs(expected).max()
    )
    assert small.count_params() < model.count_params()


def test_weights(tmp_path):
    model = models.alexnet(**TINY)
    model.save(tmp_path / "base.keras")
    again = models.alexnet(**TINY, weights=tmp_path / "base.keras")
    for weight, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_width_of_nothing():
    with pytest.raises(ValueError, match="filters=0"):
        models.alexnet(width=0.001)
