"""Tests for tfprune.rules.merging."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from tests import odd
from tests import zoo
from tfprune import rules
from tfprune import tracing

SCALED_SUM = odd.private(
    keras.applications.InceptionResNetV2, "CustomScaleLayer"
)


def joined(function, filters=(3, 3)):
    """Returns the graph of a function of convolutions, and its node."""
    inputs = keras.Input((4, 4, 2))
    x = function(*(layers.Conv2D(n, 1)(inputs) for n in filters))
    graph = tracing.trace(keras.Model(inputs, zoo.head(zoo.conv(x, 2))))
    return graph, graph.nodes[len(filters)]


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        ops.maximum,
        lambda a, b: layers.Add()([a, b]),
        lambda a, b: layers.Subtract()([a, b]),
        lambda a, b: layers.Multiply()([a, b]),
        lambda a, b: layers.Average()([a, b]),
        lambda a, b: layers.Maximum()([a, b]),
        lambda a, b: layers.Minimum()([a, b]),
        lambda a, b: SCALED_SUM(0.2)([a, b]),
    ],
)
def test_what_meets_is_tied(function):
    graph, node = joined(function)
    assert node.outputs[0].ravel().tolist() == [2, 3, 4]
    assert graph.prunable[2:5].all()
    assert not rules.rule_for(node.layer).leaks(node)


def test_quotient_of_zeros_freezes_both():
    graph, _ = joined(lambda a, b: a / b)
    assert graph.reasons[2:5] == ["no rule for a layer it meets"] * 3


@pytest.mark.parametrize(
    "function, leaks",
    [
        (ops.add, True),
        (ops.multiply, False),
        (ops.maximum, True),
        (lambda a, b: layers.Minimum()([b, a]), True),
        (lambda a, b: layers.Average()(inputs=[a, b]), True),
        (lambda a, b: ops.where(b > 0, a, 0.5), True),
        (lambda a, b: ops.where(b > 0, 0.0, a), False),
    ],
)
def test_channel_that_is_spread_over_all_leaks(function, leaks):
    graph, _ = joined(function, filters=(3, 1))
    node = graph.nodes[-4]
    assert graph.prunable[node.outputs[0]].all()
    assert rules.rule_for(node.layer).leaks(node) == leaks
    assert graph.reasons.count("fixed by a shape") == 1


@pytest.mark.parametrize(
    "function, leaks",
    [
        (lambda a, b: ops.where(a > b, a, b), False),
        (lambda a, b: ops.where(a > b, 1.0, b), False),
        (lambda a, b: ops.where(a > b, a, 1.0), True),
        (ops.logaddexp2, True),
    ],
)
def test_what_is_compared_is_tied(function, leaks):
    graph, _ = joined(function)
    assert graph.layer_units(graph.nodes[0].path).tolist() == [2, 3, 4]
    assert graph.prunable[2:5].all()
    node = graph.nodes[-4]
    assert rules.rule_for(node.layer).leaks(node) == leaks


@pytest.mark.parametrize("function", [ops.equal, ops.less_equal, ops.mod])
def test_truth_or_nothing_at_zero_freezes(function):
    graph, _ = joined(lambda a, b: ops.cast(function(a, b), "float32"))
    assert graph.reasons[2:5] == ["no rule for a layer it meets"] * 3


def test_vector_of_lower_rank_is_tied_to_the_channels():
    def scaled(a, b):
        return a * layers.GlobalMaxPooling2D()(b)[:, None, None]

    graph, _ = joined(scaled)
    assert graph.layer_units(graph.nodes[1].path).tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    "constant, expected",
    [
        (2.0, 2.0),
        (np.float32(2), 2.0),
        (np.array([5.0]), [5.0]),
        (np.array([5.0, 6.0, 7.0]), [5.0, 7.0]),
        (np.array([[[5.0, 6.0, 7.0]]]), [[[5.0, 7.0]]]),
        (np.arange(4.0).reshape(4, 1), np.arange(4.0).reshape(4, 1)),
    ],
)
def test_constants_lose_the_same_channels(constant, expected):
    graph, node = joined(lambda a: a * constant, filters=(3,))
    rule = rules.rule_for(node.layer)
    kept = np.isin(node.outputs[0], [2, 4])
    _, actual = rule.arguments(node, node.args, lambda units: kept.ravel())
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    "axis, expected",
    [(-1, [2, 3, 4, 5]), (3, [2, 3, 4, 5]), (1, [2, 3]), (-2, [2, 3])],
)
def test_concatenation_over_channels_joins_and_over_positions_ties(
    axis, expected
):
    _, node = joined(
        lambda a, b: layers.Concatenate(axis)([a, b]), filters=(2, 2)
    )
    assert node.outputs[0].ravel().tolist() == expected


def test_concatenation_of_batches_is_frozen():
    inputs = keras.Input((4,))
    x, y = layers.Dense(3)(inputs), layers.Dense(3)(inputs)
    x = layers.Concatenate(axis=0)([x, y])
    graph = tracing.trace(keras.Model(inputs, layers.Dense(2)(x)))
    assert not graph.prunable.any()


@pytest.mark.parametrize(
    "name, expected",
    [
        ("u_net", [4, 4, 6, 6, 8, 6, 6, 4, 4]),
        ("feature_pyramid", [4, 6, 8, 5, 5, 5, 5, 5, 5]),
        ("one_channel", [0, 5, 4, 0]),
        ("flat_and_back", [4, 32, 6, 5, 4]),
        ("unequal_groups", [12, 6, 9, 8, 16]),
    ],
)
def test_what_can_be_pruned_before_the_outputs(name, expected):
    model = odd.MODELS[name]()
    rows = tracing.explain(model)
    left = [
        row.prunable
        for row in rows
        if row.type.startswith(("Conv", "Dense"))
        and "model output" not in row.reasons
    ]
    assert left == expected
