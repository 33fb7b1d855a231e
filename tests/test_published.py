"""Tests for tfprune.published."""

import numpy as np
import pytest

from tfprune import compaction
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
