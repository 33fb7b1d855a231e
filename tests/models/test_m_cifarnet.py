"""Tests for tfprune.models.m_cifarnet."""

from keras import layers
import numpy as np

from tests import convolutions
from tfprune import costs
from tfprune import models
from tfprune import tracing


def test_published_sizes():
    model = models.m_cifarnet()
    pairs = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 128), (128, 192)]
    pairs += [(192, 192), (192, 192)]
    kernels = [9 * read * written for read, written in pairs]
    assert convolutions.weights(model) == sum(kernels)
    assert sum(kernels) + 192 * 10 + 10 == 1_293_898
    sides = [30, 30, 15, 15, 15, 8, 8, 8]
    macs = np.dot(kernels, np.square(sides)) + 192 * 10
    assert costs.cost(model).macs == macs == 174_301_824


def test_every_channel_can_be_pruned():
    graph = tracing.trace(models.m_cifarnet())
    assert graph.prunable.sum() == 2 * 64 + 3 * 128 + 3 * 192


def test_moving_statistics_are_those_of_the_paper():
    norms = [
        layer
        for layer in models.m_cifarnet().layers
        if isinstance(layer, layers.BatchNormalization)
    ]
    assert {(x.momentum, x.epsilon) for x in norms} == {(0.9997, 1e-3)}
    model = models.m_cifarnet(momentum=0.9)
    assert model.get_layer("conv7_bn").momentum == 0.9


def test_weights(tmp_path):
    model = models.m_cifarnet(classes=7)
    model.save(tmp_path / "base.keras")
    again = models.m_cifarnet(classes=7, weights=tmp_path / "base.keras")
    images = np.random.RandomState(0).rand(2, 32, 32, 3).astype("float32")
    np.testing.assert_array_equal(again(images), model(images))
