"""Tests for tfprune.published."""

import numpy as np
import pytest

from tfprune import compaction
from tfprune import costs
from tfprune import models
from tfprune import published
from tfprune import tracing


def thin(model, share):
    """Returns a ResNet with a share of its internal filters, one at least."""
    graph = tracing.trace(model)
    keep = np.ones(graph.num_units, bool)
    for layer in model.layers:
        if layer.name.endswith("_conv1"):
            units = graph.layer_units(layer.name)
            keep[units[max(1, int(share * len(units))) :]] = False
    return compaction.shrink(model, graph, keep)


def test_resnet56():
    model = models.resnet56("projection")
    assert costs.cost(model).macs == 125_747_840
    assert published.resnet56_macs(model) == 126_534_272


@pytest.mark.parametrize(
    "share, ratio", [(0.5, 0.5059), (0.25, 0.2589), (0.0, 0.0481)]
)
def test_ratios_of_resnet56(share, ratio):
    model = models.resnet56("projection")
    small = published.resnet56_macs(thin(model, share))
    found = small / published.resnet56_macs(model)
    assert found == pytest.approx(ratio, abs=1e-4)


def test_lenet5():
    assert published.lenet5_macs(models.lenet5()) == 1_888_000


def test_vgg16_is_counted_alike():
    model = models.vgg16()
    assert costs.cost(model).macs == 313_463_808
    kernels = [x for x in model.trainable_weights if x.name == "kernel"]
    assert sum(np.prod(x.shape) for x in kernels) == 14_977_728
    trained = sum(np.prod(x.shape) for x in model.trainable_weights)
    assert trained == 14_986_698


def test_parameters_of_resnet56():
    model = models.resnet56("projection")
    trained = sum(np.prod(x.shape) for x in model.trainable_weights)
    assert trained == 855_770
