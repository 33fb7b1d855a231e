"""Tests for tfprune.costs."""

import keras
import numpy as np
import pytest
from keras import layers

from tests import counting
from tests import zoo
from tfprune import compaction
from tfprune import costs
from tfprune import graph as graph_lib
from tfprune import models


def test_convolution_by_hand():
    inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.BatchNormalization()(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    graph = graph_lib.trace(model)
    convolution = 3 * 3 * 2 * 4
    assert costs.cost(model) == costs.Cost(
        params=(convolution + 4) + 4 * 4 + (36 * 3 + 3),
        macs=convolution * 9 + 36 * 3,
    )
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("conv")[[0, 2, 3]]] = False
    assert costs.cost(model, graph, keep) == costs.Cost(
        params=(3 * 3 * 2 + 1) + 4 + (9 * 3 + 3), macs=3 * 3 * 2 * 9 + 9 * 3
    )


def test_shared_layer_has_its_weights_once_and_its_products_twice():
    shared = layers.Dense(3, use_bias=False)
    a, b = keras.Input((5,)), keras.Input((5,))
    model = keras.Model([a, b], [shared(a), shared(b)])
    assert costs.cost(model) == costs.Cost(params=15, macs=30)


def test_nested_model_counts_once_for_each_call():
    inner = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    a, b = keras.Input((5,)), keras.Input((5,))
    model = keras.Model([a, b], [inner(a), inner(b)])
    assert costs.cost(model) == costs.Cost(params=18, macs=30)


@pytest.mark.parametrize(
    "build, macs",
    [
        (models.vgg16, 313_463_808),
        (lambda: models.resnet56(shortcut="projection"), 125_747_840),
        (models.resnet20, 40_551_040),
    ],
)
def test_published_networks(build, macs):
    model = build()
    assert costs.cost(model) == costs.Cost(model.count_params(), macs)


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_cost_is_what_the_compacted_model_really_computes(name):
    model = zoo.network(name)
    graph = graph_lib.trace(model)
    for seed in range(2):
        keep = zoo.random_keep(graph, seed)
        small = compaction.shrink(model, graph, keep)
        inputs = compaction.random_inputs(model, batch_size=1)
        assert costs.cost(model, graph, keep) == costs.Cost(
            small.count_params(), counting.macs(small, inputs)
        )


def test_meter_knows_the_dense_cost():
    model = zoo.network("plain")
    assert costs.Meter(graph_lib.trace(model)).dense == costs.cost(model)


def test_mask_must_fit():
    model = zoo.plain()
    graph = graph_lib.trace(model)
    with pytest.raises(ValueError, match="`keep` must be bool of shape"):
        costs.cost(model, graph, np.ones(3, bool))
    with pytest.raises(ValueError, match="True for frozen units"):
        costs.cost(model, graph, np.zeros(graph.num_units, bool))
