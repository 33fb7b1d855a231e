"""Tests for tfprune.criteria.correlations."""

import itertools
import warnings

import keras
from keras import layers
import numpy as np
import pytest

from tfprune import criteria
from tfprune import tracing
from tfprune.criteria import correlations

UNDEFINED = correlations.Correlation(None, None, None, None)


def network():
    """Two layers of 3 and 4 prunable units, and a head of frozen ones."""
    inputs = keras.Input((2,))
    x = layers.Dense(3, name="a")(inputs)
    x = layers.Dense(4, name="b")(x)
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def pairs(scores, truth):
    """Returns the signs of the differences of all pairs of units."""
    return np.array(
        [
            (np.sign(a - b), np.sign(c - d))
            for (a, c), (b, d) in itertools.combinations(zip(scores, truth), 2)
        ]
    )


def test_by_hand():
    # Means 3 and 4; deviations -2, -1, 0, 1, 2 and -3, 0, -2, -1, 6.
    found = criteria.correlation(
        [1, 2, 3, 4, 5], [1, 4, 2, 3, 10], removed=0.4
    )
    assert found.pearson == pytest.approx(
        (6 - 0 - 0 - 1 + 12) / (10 * (9 + 0 + 4 + 1 + 36)) ** 0.5
    )
    # Ranks of the truth 1, 4, 2, 3, 5: differences 0, 2, 1, 1, 0.
    assert found.spearman == pytest.approx(1 - 6 * (4 + 1 + 1) / (5 * 24))
    # Of the 10 pairs 2 are in the other order: (4, 2) and (4, 3).
    assert found.kendall == pytest.approx((8 - 2) / 10)
    # The two lowest are 1, 2 and 1, 3.
    assert found.overlap == 1 / 2


def test_equal_scores_by_hand():
    # Ranks 1.5, 1.5, 3, 4 and 1, 3, 2, 4, of mean 2.5.
    found = criteria.correlation([0, 0, 1, 2], [1, 3, 2, 4], removed=0.25)
    covariance = 1.5 + -0.5 + -0.25 + 2.25
    assert found.spearman == pytest.approx(covariance / (4.5 * 5) ** 0.5)
    # Five pairs are ordered by both, four of them alike; one has one score.
    assert found.kendall == pytest.approx((4 - 1) / (5 * 6) ** 0.5)
    # One goes: the first by the truth, one half of it by the scores.
    assert found.overlap == 1 / 2


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_definitions(seed):
    scores, truth = np.random.default_rng(seed).normal(size=(2, 20))
    found = criteria.correlation(scores, truth, removed=0.3)
    assert found.pearson == pytest.approx(np.corrcoef(scores, truth)[0, 1])
    ranks = [np.argsort(np.argsort(x)) for x in (scores, truth)]
    assert found.spearman == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert found.kendall == pytest.approx(pairs(scores, truth).prod(1).mean())
    lowest = [set(np.argsort(x)[:6]) for x in (scores, truth)]
    assert found.overlap == pytest.approx(len(set.intersection(*lowest)) / 6)


@pytest.mark.parametrize("digits", [0, 8])
def test_order_of_the_units_does_not_matter(digits):
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(2, 30)).round(digits)
    order = rng.permutation(30)
    np.testing.assert_allclose(
        criteria.correlation(scores[order], truth[order]),
        criteria.correlation(scores, truth),
    )


@pytest.mark.parametrize("digits", [0, 8])
def test_truth_itself_and_its_negative(digits):
    truth = np.random.default_rng(1).normal(size=30).round(digits)
    np.testing.assert_allclose(criteria.correlation(truth, truth), 1)
    found = criteria.correlation(-truth, truth)
    np.testing.assert_allclose(found[:3], -1)
    assert found.overlap == 0 or digits == 0  # Units at the limit are equal.


def test_ranks_do_not_see_a_square():
    scores, truth = np.random.default_rng(2).uniform(size=(2, 30))
    found, squared = (
        criteria.correlation(scores, x) for x in (truth, truth**2)
    )
    np.testing.assert_allclose(squared[1:], found[1:])
    assert squared.pearson != pytest.approx(found.pearson)


@pytest.mark.parametrize(
    "removed, overlap", [(0.01, 0), (0.5, 1), (0.99, 2 / 3)]
)
def test_one_unit_goes_at_least_and_one_stays(removed, overlap):
    found = criteria.correlation([1, 0, 2, 3], [0, 1, 3, 2], removed=removed)
    assert found.overlap == overlap


@pytest.mark.parametrize("units", [[3, 0, 2], [True, False, True, True]])
def test_other_units_do_not_count(units):
    scores, truth = np.array([[1, np.nan, 2, 3], [0, np.inf, 3, 2]])
    found = criteria.correlation(scores, truth, units)
    assert found == criteria.correlation([1, 2, 3], [0, 3, 2])
    assert found.kendall == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "scores, truth",
    [([], []), ([1], [2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0, 0, 0])],
)
def test_undefined_is_none_without_a_warning(scores, truth):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert criteria.correlation(scores, truth) == UNDEFINED


@pytest.mark.parametrize(
    "scores", [[1, 2], [1, 1 + 1e-15, 1], [1e-200, 3e-200, 2e-200]]
)
def test_few_and_almost_equal_scores_are_compared(scores):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = criteria.correlation(scores, scores)
    np.testing.assert_allclose(found, 1)


@pytest.mark.parametrize("removed", [0.0, 1.0, 1, 5, -0.1, "0.3", None])
def test_share_out_of_range_is_refused(removed):
    with pytest.raises(ValueError, match=r"`removed` must be.*\(0, 1\). Rec"):
        criteria.correlation([1, 2], [1, 2], removed=removed)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="`scores` must be finite. Received"):
        criteria.correlation([1, value, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=f"`truth` must.* Received: {value}"):
        criteria.correlation([1, 2, 3], [1, 2, value])


@pytest.mark.parametrize("truth", [[1, 2, 3], 1.0, [[1, 2]]])
def test_other_shapes_are_refused(truth):
    with pytest.raises(ValueError, match="one number for each unit. Received"):
        criteria.correlation([1, 2], truth)


def test_layers_apart_and_together():
    graph = tracing.trace(network())
    rng = np.random.default_rng(3)
    truth, other = rng.normal(size=(2, graph.num_units))
    truth[~graph.prunable] = np.nan
    a, b = graph.layer_units("a"), graph.layer_units("b")
    rows = correlations.by_layer(
        {"truth": truth, "negative": -truth, "other": other}, truth, graph
    )
    assert [(row["criterion"], row["layer"], row["units"]) for row in rows] == [
        (name, *layer)
        for name in ("truth", "negative", "other")
        for layer in ((None, 7), ("a", 3), ("b", 4))
    ]
    for row in rows:
        sign = {"truth": 1, "negative": -1}.get(row["criterion"])
        if sign:
            for name in ("pearson", "spearman", "kendall"):
                assert row[name] == pytest.approx(sign)
    for row, units in zip(rows[6:], ([*a, *b], a, b), strict=True):
        expected = criteria.correlation(other, truth, units)
        found = [row[name] for name in expected._fields]
        np.testing.assert_allclose(found, expected)


def test_units_that_are_masked_do_not_count():
    graph = tracing.trace(network())
    truth = np.arange(graph.num_units, dtype=float)
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("a")[1:]] = False
    scores = np.where(keep, truth, -truth)
    rows = correlations.by_layer({"x": scores}, truth, graph, keep)
    assert [row["units"] for row in rows] == [5, 1, 4]
    assert [row["spearman"] for row in rows] == [
        pytest.approx(1),
        None,
        pytest.approx(1),
    ]


def test_no_unit_is_refused():
    graph = tracing.trace(network(), ("a", "b"))
    scores = np.zeros(graph.num_units)
    with pytest.raises(ValueError, match="must be a unit to score"):
        correlations.by_layer({"x": scores}, scores, graph)


def test_mask_of_another_model_is_refused():
    graph = tracing.trace(network())
    scores = np.zeros(graph.num_units)
    with pytest.raises(ValueError, match="`keep` must be bool of shape"):
        correlations.by_layer({"x": scores}, scores, graph, np.ones(3, bool))
