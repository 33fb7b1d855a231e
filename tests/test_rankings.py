"""Tests for tfprune.rankings."""

import keras
from keras import layers
import numpy as np
import pytest

from tests import zoo
from tfprune import budgets
from tfprune import canonical
from tfprune import costs
from tfprune import rankings
from tfprune import tracing


@pytest.fixture
def two():
    """A graph of layers `a` of 3 and `b` of 4 units, and scores of them."""
    inputs = keras.Input((2,))
    x = layers.Dense(3, use_bias=False, name="a")(inputs)
    x = layers.Dense(4, use_bias=False, name="b")(x)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(x))
    graph = tracing.trace(model)
    scores = np.zeros(graph.num_units)
    scores[graph.layer_units("a")] = 3, 0, 4
    scores[graph.layer_units("b")] = 0.2, 0.05, 0.3, 0.7
    return graph, scores


def ranked(ranking, two, keep=None):
    graph, scores = two
    keep = np.ones(graph.num_units, bool) if keep is None else keep
    ranks = ranking(scores, graph, keep)
    return [ranks[graph.layer_units(name)] for name in "ab"]


def test_global_ranking_leaves_the_scores(two):
    assert rankings.global_ranking(two[1], two[0], None) is two[1]


def test_uniform_ranking_by_hand(two):
    a, b = ranked(rankings.uniform_ranking, two)
    np.testing.assert_allclose(a, [2 / 3, 1 / 3, 1])
    np.testing.assert_allclose(b, [2 / 4, 1 / 4, 3 / 4, 1])


def test_layer_ranking_by_hand(two):
    graph, scores = two
    before = scores.copy()
    a, b = ranked(rankings.layer_ranking, two)
    np.testing.assert_allclose(a, [3 / 5, 0, 4 / 5])
    np.testing.assert_allclose(np.linalg.norm(b), 1)
    np.testing.assert_allclose(b / b[0], [1, 0.25, 1.5, 3.5])
    np.testing.assert_array_equal(scores, before)


def test_layer_ranking_counts_the_live_units(two):
    keep = np.ones(two[0].num_units, bool)
    keep[two[0].layer_units("a")[2]] = False
    a, _ = ranked(rankings.layer_ranking, two, keep)
    np.testing.assert_allclose(a[:2], [1, 0])


def test_layer_ranking_is_that_of_the_taylor_papers_code(two):
    for ranks, name in zip(ranked(rankings.layer_ranking, two), "ab"):
        scores = two[1][two[0].layer_units(name)]
        expected = scores / (np.sqrt((scores**2).sum()) + 1e-8)
        np.testing.assert_allclose(ranks, expected, rtol=1e-6)


def test_layer_l1_ranking_by_hand(two):
    a, b = ranked(rankings.layer_l1_ranking, two)
    np.testing.assert_allclose(a, [3 / 7, 0, 4 / 7])
    np.testing.assert_allclose(b, np.array([0.2, 0.05, 0.3, 0.7]) / 1.25)


def test_layer_mean_ranking_by_hand(two):
    a, b = ranked(rankings.layer_mean_ranking, two)
    np.testing.assert_allclose(a, [3 * 3 / 7, 0, 3 * 4 / 7])
    np.testing.assert_allclose(b, 4 * np.array([0.2, 0.05, 0.3, 0.7]) / 1.25)


BY_LAYER = [
    rankings.layer_ranking,
    rankings.layer_l1_ranking,
    rankings.layer_mean_ranking,
]


@pytest.mark.parametrize(
    "ranking, size",
    zip(
        BY_LAYER,
        [np.linalg.norm, lambda x: abs(x).sum(), lambda x: abs(x).mean()],
        strict=True,
    ),
)
def test_size_of_a_layer_is_that_of_its_live_units_without_signs(ranking, size):
    graph = tracing.trace(zoo.NETWORKS["residual_padded"]())
    keep = zoo.random_keep(graph, 0, share=0.7)
    scores = np.random.default_rng(0).normal(size=graph.num_units)
    before = scores.copy()
    ranks = ranking(scores, graph, keep)
    np.testing.assert_array_equal(scores, before)
    alive = keep & graph.prunable
    names = np.array([graph.owners.get(u) for u in range(graph.num_units)])
    for name in set(names[alive]):
        units = alive & (names == name)
        np.testing.assert_allclose(size(ranks[units]), 1)
        np.testing.assert_allclose(
            ranks[units] * size(scores[units]), scores[units]
        )


@pytest.mark.parametrize("ranking", BY_LAYER)
def test_layer_of_scores_that_are_zero_stays_so(ranking, two):
    graph, scores = two
    a, _ = ranked(ranking, (graph, 0 * scores))
    np.testing.assert_array_equal(a, 0)


def test_cost_ranking_by_hand(two):
    # A unit of `a` takes 2 weights of its own and one of each unit of `b`; a
    # unit of `b` one of each unit of `a` and one of the last layer.
    a, b = ranked(rankings.cost_ranking, two)
    np.testing.assert_allclose(a, np.array([3, 0, 4]) / (2 + 4))
    np.testing.assert_allclose(b, np.array([0.2, 0.05, 0.3, 0.7]) / (3 + 1))
    keep = np.ones(two[0].num_units, bool)
    keep[two[0].layer_units("a")[1]] = False
    a, b = ranked(rankings.cost_ranking, two, keep)
    np.testing.assert_allclose(b, np.array([0.2, 0.05, 0.3, 0.7]) / (2 + 1))


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_cost_is_what_goes_with_the_unit_alone(name):
    graph = tracing.trace(zoo.NETWORKS[name]())
    keep = zoo.random_keep(graph, 0, share=0.8)
    ranks = rankings.cost_ranking(np.ones(graph.num_units), graph, keep)
    meter = costs.Meter(graph)
    for unit in np.flatnonzero(keep & graph.prunable):
        without = keep.copy()
        without[unit] = False
        saved = meter(keep).macs - meter(without).macs
        assert ranks[unit] == pytest.approx(1 / saved)


def test_cost_ranking_takes_no_negative_scores(two):
    graph, scores = two
    keep = np.ones(graph.num_units, bool)
    unit = graph.layer_units("b")[2]
    scores[unit] = -0.5
    message = f"at least 0. Received: -0.5 for unit {unit} of layer 'b'.*sign"
    with pytest.raises(ValueError, match=message):
        rankings.cost_ranking(scores, graph, keep)
    keep[unit] = False  # What is gone may have any score.
    rankings.cost_ranking(scores, graph, keep)


def test_macs_are_a_price_by_hand(two):
    # A unit of `a` takes 2 + 4 of them, one of `b` 3 + 1.
    a, b = ranked(rankings.MacsRegularized(0.1), two)
    np.testing.assert_allclose(a, np.array([3, 0, 4]) - 0.6)
    np.testing.assert_allclose(b, np.array([0.2, 0.05, 0.3, 0.7]) - 0.4)
    keep = np.ones(two[0].num_units, bool)
    keep[two[0].layer_units("a")[1]] = False
    _, b = ranked(rankings.MacsRegularized(0.2), two, keep)
    np.testing.assert_allclose(b, np.array([0.2, 0.05, 0.3, 0.7]) - 0.6)


def test_price_of_macs_comes_after_another_ranking(two):
    regularized = rankings.MacsRegularized(0.01, rankings.layer_ranking)
    a, _ = ranked(regularized, two)
    np.testing.assert_allclose(a, np.array([3, 0, 4]) / 5 - 0.06)


def test_without_a_price_the_ranking_is_as_it_was(two):
    graph, scores = two
    keep = np.ones(graph.num_units, bool)
    for ranking in (rankings.global_ranking, rankings.uniform_ranking):
        np.testing.assert_array_equal(
            rankings.MacsRegularized(0, ranking)(scores, graph, keep),
            ranking(scores, graph, keep),
        )


def test_high_price_of_macs_takes_the_dearest_units(two):
    graph, scores = two
    keep = budgets.select(
        scores,
        graph,
        np.ones(graph.num_units, bool),
        budgets.Budget(units=6),
        ranking=rankings.MacsRegularized(10.0),
    )
    assert np.flatnonzero(~keep) == graph.layer_units("a")[1]


def test_runs_of_other_prices_are_told_apart():
    told = [
        canonical.describe(rankings.MacsRegularized(*arguments))
        for arguments in (
            [0.1],
            [0.2],
            [0.1, rankings.uniform_ranking],
            [0.1, rankings.global_ranking],
        )
    ]
    assert told[0] == told[3]
    assert told[0] != told[1] and told[0] != told[2]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([-1e-9], "`mu` must be a number .* Received: mu=-1e-09"),
        ([np.inf], "`mu` must be a number .* Received: mu=inf"),
        ([np.nan], "`mu` must be a number .* Received: mu=nan"),
        ([0.1, 0.2], "`ranking` must be a function.* Received: ranking=0.2"),
    ],
)
def test_price_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        rankings.MacsRegularized(*arguments)


def test_ranking_before_the_price_must_return_numbers_of_units(two):
    regularized = rankings.MacsRegularized(0.1, lambda scores, *_: scores[:2])
    with pytest.raises(ValueError, match="`ranking` returns must be of shape"):
        ranked(regularized, two)


def test_uniform_ranking_halves_every_layer_of_resnet50():
    model = keras.applications.ResNet50(weights=None)
    graph = tracing.trace(model)
    everything = np.ones(graph.num_units, bool)
    keep = budgets.select(
        np.zeros(graph.num_units),
        graph,
        everything,
        budgets.Budget(units=0.5),
        ranking=rankings.uniform_ranking,
    )
    for row in graph.widths(keep):
        kept = row["channels_after"] / row["channels_before"]
        assert kept == (0.5 if row["prunable"] else 1.0)
    for units in graph.unit_sets:
        if graph.prunable[units].all():
            assert not keep[units[: len(units) // 2]].any()
    dense, left = map(costs.Meter(graph), (everything, keep))
    # The first layer and the last one have but one side that can lose units.
    ends = 7 * 7 * 3 * 64 * 112 * 112 + 2048 * 1000
    assert left.macs == (dense.macs - ends) / 4 + ends / 2
