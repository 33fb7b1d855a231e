"""Tests for tfprune.costs."""

import keras
import numpy as np
import pytest
from keras import layers

from tests import counting
from tests import zoo
from tfprune import compaction
from tfprune import costs
from tfprune import masking
from tfprune import models
from tfprune import tracing
from tfprune import verification


def test_convolution_by_hand():
    inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.BatchNormalization()(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    graph = tracing.trace(model)
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


class Special(layers.Dense):
    """A layer of a ruled class is of a class without a rule."""


HIDING = {
    "cell": lambda name: layers.RNN(
        layers.LSTMCell(3), return_sequences=True, name=name
    ),
    "bidirectional": lambda name: layers.Bidirectional(
        layers.RNN(layers.GRUCell(3), return_sequences=True), name=name
    ),
    "einsum": lambda name: layers.EinsumDense(
        "abc,bcd->abd", (4, 3), name=name
    ),
    "over_time": lambda name: layers.TimeDistributed(
        Special(3), name=name
    ),
    "special": lambda name: Special(3, name=name),
}


@pytest.mark.parametrize("name", HIDING)
def test_layer_whose_kernels_no_rule_counts_is_named(name, caplog):
    layer = HIDING[name](f"hidden_{name}")
    inputs = keras.Input((4, 5))
    x = layer(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="last")(x))
    last = (x.shape[-1] * 2 + 2, x.shape[-1] * 2 * 4)
    with caplog.at_level("WARNING"):
        for _ in range(2):
            cost = costs.cost(model)
    assert cost == costs.Cost(layer.count_params() + last[0], last[1])
    assert caplog.text.count(f"or no kernel: {layer.name}.") == 1
    table = tracing.explain(model)
    assert table.uncounted == [layer.name]
    assert f"not counted: {layer.name}" in str(table)


def test_attention_counts_with_its_projections_and_is_named():
    inputs = keras.Input((4, 5))
    layer = layers.MultiHeadAttention(2, 3, name="attention")
    model = keras.Model(inputs, layer(inputs, inputs))
    projections = 4 * (3 * 5 * 6 + 6 * 5)
    assert costs.cost(model) == costs.Cost(layer.count_params(), projections)
    assert tracing.explain(model).uncounted == ["attention"]


def test_layers_that_multiply_with_no_matrix_are_counted():
    inputs = keras.Input((4,), dtype="int32")
    x = layers.Embedding(6, 5)(inputs)
    x = layers.LayerNormalization()(layers.GroupNormalization(1)(x))
    x = layers.PReLU()(x) * layers.Softmax()(x)
    model = keras.Model(inputs, layers.Dense(2)(zoo.Unruled()(x)))
    assert tracing.explain(model).uncounted == []
    assert "not counted" not in str(tracing.explain(model))


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
    graph = tracing.trace(model)
    for seed in range(2):
        keep = zoo.random_keep(graph, seed)
        small = compaction.shrink(model, graph, keep)
        inputs = verification.random_inputs(model, batch_size=1)
        assert costs.cost(model, graph, keep) == costs.Cost(
            small.count_params(), counting.macs(small, inputs)
        )


def test_mask_must_fit():
    model = zoo.plain()
    graph = tracing.trace(model)
    with pytest.raises(ValueError, match="`keep` must be bool of shape"):
        costs.cost(model, graph, np.ones(3, bool))
    with pytest.raises(ValueError, match="True for frozen units"):
        costs.cost(model, graph, np.zeros(graph.num_units, bool))


@pytest.mark.parametrize("name", ["nested", "constants", "sequential"])
def test_masked_model_costs_what_its_masks_leave(name):
    model = zoo.network(name)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    assert costs.cost(masked) == costs.cost(model)
    keep = zoo.random_keep(graph, 0)
    masking.set_mask(masked, graph, keep)
    expected = costs.cost(model, graph, keep)
    assert costs.cost(masked) == costs.cost(masked, graph) == expected
    assert costs.cost(masked, graph, keep | True) == costs.cost(model)


def test_thing_that_is_no_model():
    with pytest.raises(ValueError, match="must be a keras.Model of Keras 3"):
        costs.cost([1])
