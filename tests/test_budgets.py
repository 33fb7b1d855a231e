"""Tests for tfprune.budgets."""

import math

import keras
import numpy as np
import pytest
from keras import layers

from tests import zoo
from tfprune import budgets
from tfprune import choices
from tfprune import costs
from tfprune import models
from tfprune import tracing


def chain(*widths):
    """Returns the graph of dense layers `a`, `b` and so on, and an output."""
    inputs = x = keras.Input((2,))
    for name, width in zip("abcd", widths, strict=False):
        x = layers.Dense(width, use_bias=False, name=name)(x)
    x = layers.Dense(1, use_bias=False)(x)
    return tracing.trace(keras.Model(inputs, x))


def scores_of(graph, **layer_scores):
    scores = np.full(graph.num_units, np.nan)
    scores[~graph.prunable] = 0.0
    for name, values in layer_scores.items():
        scores[graph.layer_units(name)] = values
    return scores


def target_of(graph, budget):
    dense = costs.Meter(graph)(everything(graph))
    return budget.target(getattr(dense, budget.resource))


def everything(graph):
    return np.ones(graph.num_units, bool)


def gone(graph, keep):
    """Returns {layer: places that are gone}."""
    return {
        name: np.flatnonzero(~keep[graph.layer_units(name)]).tolist()
        for name in ("a", "b")
    }


@pytest.fixture
def two():
    graph = chain(3, 4)
    scores = scores_of(graph, a=[0.5, 0.1, 0.9], b=[0.2, 0.05, 0.3, 0.7])
    return graph, scores


def test_lowest_scores_go_first(two):
    graph, scores = two
    keep = budgets.select(
        scores, graph, everything(graph), budgets.Budget(units=4)
    )
    assert gone(graph, keep) == {"a": [1], "b": [0, 1]}


def test_next_lowest_scores_go_after_those_that_are_gone(two):
    graph, scores = two
    keep = everything(graph)
    keep[graph.layer_units("a")[1]] = False
    keep[graph.layer_units("b")[:2]] = False
    keep = budgets.select(scores, graph, keep, budgets.Budget(units=2))
    assert gone(graph, keep) == {"a": [0, 1], "b": [0, 1, 2]}


def test_fraction_is_of_the_prunable_units(two):
    graph, scores = two
    for fraction, left in [(0.9, 6), (0.5, 3), (3 / 7, 3)]:
        keep = budgets.select(
            scores, graph, everything(graph), budgets.Budget(units=fraction)
        )
        assert (keep & graph.prunable).sum() == left


@pytest.mark.parametrize("units", range(2, 8))
def test_count_of_units_is_exact(two, units):
    graph, scores = two
    keep = budgets.select(
        scores, graph, everything(graph), budgets.Budget(units=units)
    )
    assert (keep & graph.prunable).sum() == units


def test_parameters_by_hand(two):
    # With a and b units there are 2 a + a b + b weights: 22 of 3 and 4.
    graph, scores = two
    for params, expected in [
        (22, (3, 4)),
        (21, (3, 3)),
        (18, (3, 3)),
        (17, (3, 2)),
        (14, (3, 2)),
    ]:
        keep = budgets.select(
            scores,
            graph,
            everything(graph),
            budgets.Budget(params=params, tolerance=1.0),
        )
        left = tuple(
            int(keep[graph.layer_units(name)].sum()) for name in "ab"
        )
        weights = 2 * left[0] + left[0] * left[1] + left[1]
        assert weights <= params
        assert costs.Meter(graph)(keep).params == weights
        if params in (22, 21, 18):
            assert left == expected


@pytest.mark.parametrize(
    "name", ["plain", "residual_padded", "grouped", "nested"]
)
@pytest.mark.parametrize("resource", ["params", "macs"])
@pytest.mark.parametrize("fraction", [0.9, 0.7, 0.5])
def test_never_above_and_no_single_unit_fits_in_what_is_left(
    name, resource, fraction
):
    graph = tracing.trace(zoo.NETWORKS[name]())
    scores = np.random.default_rng(0).random(graph.num_units)
    budget = budgets.Budget(**{resource: fraction}, tolerance=1.0)
    keep = budgets.select(scores, graph, everything(graph), budget)
    meter, target = costs.Meter(graph), target_of(graph, budget)
    amount = getattr(meter(keep), resource)
    assert amount <= target
    if amount < 0.99 * target:
        for unit in np.flatnonzero(~keep):
            more = keep.copy()
            more[unit] = True
            assert getattr(meter(more), resource) > target


def test_unit_goes_in_place_of_another_to_end_near_the_budget(two):
    # Of 13 weights: `a` alone would lose two units, and 2 + 4 + 4 be left;
    # with one of each layer gone they are 4 + 6 + 3.
    graph, _ = two
    scores = scores_of(graph, a=[0.1, 0.9, 0.2], b=[0.8, 0.3, 0.7, 0.6])
    keep = budgets.select(
        scores, graph, everything(graph), budgets.Budget(params=13)
    )
    assert gone(graph, keep) == {"a": [0], "b": [1]}


def exchanges(graph, before, keep, min_units):
    """Yields the masks with one unit back in place of another one."""
    layers = [x[x >= 0] for node in graph.nodes for x in node.outputs]
    for comes in np.flatnonzero(before & ~keep):
        for goes in np.flatnonzero(keep & graph.prunable):
            trial = keep.copy()
            trial[[comes, goes]] = True, False
            if all(
                len(np.unique(units[trial[units]])) >= min_units
                for units in layers
                if goes in units
            ):
                yield trial


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("resource", ["params", "macs"])
def test_no_single_exchange_ends_nearer(seed, resource):
    rng = np.random.default_rng(seed)
    if seed % 2:
        graph = chain(*rng.integers(3, 9, rng.integers(2, 5)).tolist())
    else:
        graph = tracing.trace(zoo.NETWORKS["residual_padded"]())
    meter, min_units = costs.Meter(graph), int(rng.integers(1, 3))
    keep = everything(graph)
    for fraction in (0.8, 0.6, 0.5):
        before, scores = keep, rng.random(graph.num_units)
        budget = budgets.Budget(**{resource: fraction}, tolerance=1.0)
        keep = budgets.select(scores, graph, keep, budget, min_units)
        target = target_of(graph, budget)
        assert not np.any(keep & ~before)
        amount = getattr(meter(keep), resource)
        assert amount <= target
        if amount < 0.99 * target:
            for trial in exchanges(graph, before, keep, min_units):
                other = getattr(meter(trial), resource)
                assert not 0.99 * target <= other <= target


@pytest.mark.parametrize("shortcut", ["pad", "projection"])
def test_large_model_ends_within_one_percent(shortcut):
    graph = tracing.trace(models.resnet20(shortcut=shortcut))
    scores = np.random.default_rng(0).random(graph.num_units)
    for resource in ("macs", "params"):
        budget = budgets.Budget(**{resource: 0.5})
        keep = budgets.select(scores, graph, everything(graph), budget)
        amount = getattr(costs.Meter(graph)(keep), resource)
        target = target_of(graph, budget)
        assert 0.99 * target <= amount <= target


def test_ties_go_in_the_order_of_their_numbers():
    graph = chain(3, 3)
    keep = budgets.select(
        np.zeros(graph.num_units),
        graph,
        everything(graph),
        budgets.Budget(units=4),
    )
    assert gone(graph, keep) == {"a": [0, 1], "b": []}


def test_at_least_min_units_stay_in_each_layer(two):
    graph, scores = two
    keep = budgets.select(
        scores, graph, everything(graph), budgets.Budget(units=6), min_units=3
    )
    assert gone(graph, keep) == {"a": [], "b": [1]}


def test_unit_that_is_gone_stays_gone(two):
    graph, scores = two
    keep = everything(graph)
    keep[graph.layer_units("b")[3]] = False  # the second best
    for units in (6, 5, 3, 2):
        left = budgets.select(scores, graph, keep, budgets.Budget(units=units))
        assert not (left & ~keep).any()
        assert (left & graph.prunable).sum() == units
        keep = left


def test_arguments_are_not_changed(two):
    graph, scores = two
    keep, before = everything(graph), scores.copy()
    budgets.select(scores, graph, keep, budgets.Budget(units=3))
    assert keep.all()
    np.testing.assert_array_equal(scores, before)


def test_frozen_units_stay_whatever_their_score():
    graph = tracing.trace(zoo.network("normalised"))
    scores = np.where(graph.prunable, 1.0, -1.0)
    keep = budgets.select(
        scores, graph, everything(graph), budgets.Budget(params=0.9)
    )
    assert keep[~graph.prunable].all()


def test_unreachable_budget_names_the_nearest(two):
    graph, scores = two
    with pytest.raises(
        ValueError, match="of 1 units cannot be met.*`min_units`=1.*is 2 of 7"
    ):
        budgets.select(
            scores, graph, everything(graph), budgets.Budget(units=1)
        )
    # One unit in each layer: 2 + 1 + 1 weights.
    with pytest.raises(ValueError, match="of 3 params.* is 4 of 22"):
        budgets.select(
            scores, graph, everything(graph), budgets.Budget(params=3)
        )


def widths(graph, keep):
    return [int(keep[graph.layer_units(name)].sum()) for name in "ab"]


@pytest.mark.parametrize(
    "limits, left",
    [
        ({}, [0, 12]),
        ({"min_units": {"a": 3}}, [3, 9]),
        ({"min_units": {"a": 0.25}}, [2, 10]),
        ({"min_units": {"*": 3, "a": 5}}, [5, 7]),
        ({"min_units": {"a": 5, "*": 3}}, [5, 7]),
        ({"min_units": {"?": 5, "a": 2}}, [2, 10]),
        ({"min_units": {"a": 2, "?": 5}}, [5, 7]),
        ({"min_units": {"a": 0.3}}, [3, 9]),
        ({"max_units": {"b": 7}}, [5, 7]),
        ({"max_units": {"b": 0.5}}, [4, 8]),
        ({"max_units": {"?": 0.75, "a": 1.0}}, [0, 12]),
        ({"min_units": {"a": 0.5}, "max_units": {"a": 0.5}}, [4, 8]),
    ],
)
def test_layers_keep_what_they_must_and_may(limits, left):
    graph = chain(8, 16)  # All of `a` is worth less than any of `b`.
    scores = scores_of(graph, a=np.arange(8), b=np.arange(8, 24))
    keep = budgets.select(
        scores, graph, everything(graph), budgets.Budget(units=12), **limits
    )
    assert widths(graph, keep) == [max(1, left[0]), left[1] - (not left[0])]
    for name, count in zip("ab", widths(graph, keep)):
        assert keep[graph.layer_units(name)[-count:]].all()  # the best ones


@pytest.mark.parametrize("order", [1, -1])
def test_strictest_limit_of_layers_that_share_units_counts(order):
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(16, 3, padding="same", name="a")(inputs)
    y = layers.Conv2D(16, 3, padding="same", name="b")(x)
    x = layers.GlobalAveragePooling2D()(layers.Add(name="sum")([x, y]))
    graph = tracing.trace(keras.Model(inputs, layers.Dense(2)(x)))
    several = dict([("a", 12), ("b", 4)][::order])
    budget = budgets.Budget(units=0.25, tolerance=1.0)
    scores, every = np.arange(graph.num_units), everything(graph)
    for limits, left in [
        ({"min_units": {"a": 4, "*": 12}}, 4),
        ({"max_units": several, "min_units": 3}, 4),
    ]:
        keep = budgets.select(scores, graph, every, budget, **limits)
        assert widths(graph, keep) == [left, left]
    with pytest.raises(ValueError, match="nearest found is 12 of 16"):
        budgets.select(scores, graph, every, budget, min_units=several)


def test_exception_to_a_pattern_is_that_of_the_layer_with_a_kernel():
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(16, 3, name="conv1_conv")(inputs)
    x = layers.BatchNormalization(name="conv1_bn")(x)
    x = layers.ReLU(name="conv1_relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    graph = tracing.trace(keras.Model(inputs, layers.Dense(2)(x)))
    scores, every = np.arange(graph.num_units), everything(graph)
    for limits, left in [
        ({"conv*": 12, "conv1_conv": 4}, 4),
        ({"*_bn": 12, "*_relu": 8}, 12),
        ({"*": 2, "*_relu": np.float32(0.3)}, 5),
    ]:
        budget = budgets.Budget(units=left)
        keep = budgets.select(scores, graph, every, budget, min_units=limits)
        assert keep[graph.prunable].sum() == left
        less = budgets.Budget(units=left - 1)
        with pytest.raises(ValueError, match="cannot be met"):
            budgets.select(scores, graph, every, less, min_units=limits)


def test_share_of_a_thousand_is_rounded_up_to_no_more_than_it():
    graph = chain(1000)
    keep = budgets.select(
        np.arange(graph.num_units),
        graph,
        everything(graph),
        budgets.Budget(units=100),
        max_units={"a": np.float32(0.1)},
        min_units={"a": 0.1},
    )
    assert keep[graph.layer_units("a")].sum() == 100


def test_layers_come_down_to_what_they_may_keep_if_the_budget_allows_more():
    graph = chain(8, 16)
    keep = budgets.select(
        np.arange(graph.num_units),
        graph,
        everything(graph),
        budgets.Budget(units=20, tolerance=0.5),
        max_units={"b": 0.25},
    )
    assert widths(graph, keep) == [8, 4]


def test_fraction_of_units_is_of_the_prunable_ones():
    graph = tracing.trace(zoo.NETWORKS["residual_padded"]())
    keep = budgets.select(
        np.arange(graph.num_units),
        graph,
        everything(graph),
        budgets.Budget(units=0.6, tolerance=0.5),
        min_units=0.5,
        max_units=0.5,
    )
    for units in graph.unit_sets:
        prunable = graph.prunable[units]
        left = (~prunable).sum() + math.ceil(0.5 * prunable.sum())
        assert keep[units].sum() == max(1, left)


@pytest.mark.parametrize(
    "limits, message",
    [
        ({"min_units": {"absent*": 2}}, "`min_units` must name .* 'absent\\*'"),
        ({"max_units": {3: 2}}, "`max_units` must name .*: 3, which matches"),
        ({"max_units": {"absent": 2}}, "`max_units` must name .*'absent'"),
        (
            {"min_units": {"a": 3}, "max_units": {"a": 2}},
            "`max_units` must leave room .* 'a' cannot go down to 2 of 3",
        ),
        ({"max_units": 1, "align": 2}, "cannot go down to 1 of "),
    ],
)
def test_limits_that_contradict_are_refused(two, limits, message):
    graph, scores = two
    with pytest.raises(ValueError, match=message):
        budgets.select(
            scores, graph, everything(graph), budgets.Budget(units=4), **limits
        )


def widened_fits(graph, keep, target, resource, align):
    """Returns whether some group could be wider by `align`, or whole."""
    meter = costs.Meter(graph)
    left = graph.groups.widths(keep)
    full = graph.groups.widths(everything(graph))
    found = []
    for group in np.flatnonzero(left < full):
        wider = left.copy()
        wider[group] = min(left[group] + align, full[group])
        found.append(getattr(meter, resource)(wider) <= target)
    return any(found)


@pytest.mark.parametrize("align", [2, 4, 8])
@pytest.mark.parametrize("resource", ["params", "macs"])
def test_aligned_widths_are_multiples_or_whole(align, resource):
    graph = tracing.trace(models.resnet20(width=1.25))
    scores = np.random.default_rng(0).random(graph.num_units)
    budget = budgets.Budget(**{resource: 0.5})
    keep = budgets.select(
        scores, graph, everything(graph), budget, min_units=5, align=align
    )
    target = target_of(graph, budget)
    fits = widened_fits(graph, keep, target, resource, align)
    amount = getattr(costs.Meter(graph)(keep), resource)
    assert amount <= target and (amount >= 0.99 * target or not fits)
    narrowed = 0
    for units in graph.unit_sets:
        left = keep[units].sum()
        assert left >= 5
        if graph.prunable[units].any() and left < len(units):
            assert left % align == 0
            narrowed += 1
    assert narrowed > 10


def test_the_worst_of_a_group_go_together_by_their_mean():
    # Of `a` the two worst, of mean 1.5; of `b` one goes to begin with, for
    # five are no multiple of two, and then those of mean 2.5.
    graph = chain(4, 5)
    scores = scores_of(graph, a=[1, 2, 9, 9], b=[0, 2, 3, 9, 9])
    for units, expected in [
        (8, {"a": [], "b": [0]}),
        (6, {"a": [0, 1], "b": [0]}),
        (4, {"a": [0, 1], "b": [0, 1, 2]}),
    ]:
        keep = budgets.select(
            scores,
            graph,
            everything(graph),
            budgets.Budget(units=units),
            align=2,
        )
        assert gone(graph, keep) == expected


def test_what_is_left_over_of_a_group_goes_first(two):
    # The means are 0.1 of [1] and 0.7 of [0, 2]; 0.125 of [1, 0] and 0.5.
    graph, scores = two
    found = []
    for units in (6, 4):
        keep = budgets.select(
            scores,
            graph,
            everything(graph),
            budgets.Budget(units=units),
            align=2,
        )
        found.append(gone(graph, keep))
    assert found == [{"a": [1], "b": []}, {"a": [1], "b": [0, 1]}]


@pytest.mark.parametrize("align", [2, 4, 8])
def test_groups_of_whole_layers_are_those_of_the_taylor_paper(align):
    # There, sorted scores are cut into groups from the lowest on, and the
    # groups of all layers go in the order of their sums.
    widths = 2 * align, 5 * align
    graph = chain(*widths)
    rng = np.random.default_rng(align)
    drawn = {name: rng.random(n) for name, n in zip("ab", widths)}
    groups = []
    for name, values in drawn.items():
        order = np.argsort(values)
        for start in range(0, len(values), align):
            members = order[start : start + align]
            groups.append((values[members].sum(), name, members))
    groups = sorted(groups, key=lambda group: group[0])[:4]
    keep = budgets.select(
        scores_of(graph, **drawn),
        graph,
        everything(graph),
        budgets.Budget(units=sum(widths) - 4 * align),
        align=align,
    )
    expected = {"a": [], "b": []}
    for _, name, members in groups:
        expected[name] += members.tolist()
    assert gone(graph, keep) == {k: sorted(v) for k, v in expected.items()}


def test_group_goes_in_order_however_its_means_are_rounded():
    graph = chain(8)
    least = np.full(len(graph.unit_sets), 4)
    rng = np.random.default_rng(0)
    for _ in range(100):
        noise = rng.integers(0, 3, graph.num_units)
        scores = 1 / 3 + 2.0**-54 * noise
        choice = choices.Choice(scores, graph, everything(graph), least, 3)
        keep = choice.mask(choice.least)
        np.testing.assert_array_equal(graph.groups.widths(keep), choice.least)


def test_scores_of_one_criterion_may_come_by_name(two):
    graph, scores = two
    budget = budgets.Budget(units=4)
    np.testing.assert_array_equal(
        budgets.select({"Taylor": scores}, graph, everything(graph), budget),
        budgets.select(scores, graph, everything(graph), budget),
    )
    with pytest.raises(ValueError, match=r"one criterion. Received: \['a'"):
        budgets.select(
            {"a": scores, "b": scores}, graph, everything(graph), budget
        )


def test_scores_of_the_wrong_shape(two):
    graph, scores = two
    with pytest.raises(ValueError, match=r"shape \[10\]. Received: \[3\]"):
        budgets.select(
            scores[:3], graph, everything(graph), budgets.Budget(units=4)
        )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_score_that_is_not_finite_names_the_layer(two, value):
    graph, scores = two
    scores[graph.layer_units("b")[2]] = value
    with pytest.raises(ValueError, match="finite. Received: .* of layer 'b'"):
        budgets.select(
            scores, graph, everything(graph), budgets.Budget(units=4)
        )


@pytest.mark.parametrize(
    "ranking, message",
    [
        (lambda scores, graph, keep: np.nan * scores, "finite. Received: nan"),
        (
            lambda scores, graph, keep: scores[:-1],
            r"of shape \[10\]. Received: \[9\]",
        ),
        (
            lambda scores, graph, keep: None,
            r"of shape \[10\]. Received: \[\]",
        ),
    ],
)
def test_ranking_must_return_finite_numbers_of_units(two, ranking, message):
    graph, scores = two
    budget = budgets.Budget(units=4)
    with pytest.raises(ValueError, match=f"What `ranking` returns .*{message}"):
        budgets.select(
            scores, graph, everything(graph), budget, ranking=ranking
        )


@pytest.mark.parametrize("budget", [0.5, {"macs": 0.5}, None, budgets.Budget])
def test_budget_must_be_one(two, budget):
    graph, scores = two
    with pytest.raises(ValueError, match="must be a Budget, made with"):
        budgets.select(scores, graph, everything(graph), budget)


@pytest.mark.parametrize("value", [0, -1, 0.0, 1.5, None, True, {"a": -1}])
@pytest.mark.parametrize("name", ["min_units", "max_units"])
def test_limits_must_be_numbers_of_units(two, name, value):
    graph, scores = two
    budget = budgets.Budget(units=4)
    with pytest.raises(ValueError, match=f"`{name}` must be an int of at le"):
        budgets.select(
            scores, graph, everything(graph), budget, **{name: value}
        )


@pytest.mark.parametrize(
    "arguments", [{}, {"units": 3, "macs": 0.5}, {"params": None}]
)
def test_budget_takes_exactly_one(arguments):
    with pytest.raises(ValueError, match="exactly one of `units`, `par"):
        budgets.Budget(**arguments)


def test_latency_may_be_any_number_of_milliseconds():
    for value in (1, 2.5, np.float32(2.5), np.float32(0.5)):
        assert budgets.Budget(latency_ms=value).resource == "latency_ms"
    with pytest.raises(ValueError, match="`latency_ms` must be a number of at"):
        budgets.Budget(latency_ms=0)


@pytest.mark.parametrize("table", [None, 3])
def test_table_must_be_a_path(table):
    with pytest.raises(ValueError, match="path of a file. Received: table="):
        budgets.Budget(latency_ms=0.5, table=table)


@pytest.mark.parametrize("value", [0, -3, 0.0, 1.0, 1.5, -0.5, "half", True])
def test_budget_out_of_range(value):
    with pytest.raises(ValueError, match=r"int of at least 1.*Received: macs="):
        budgets.Budget(macs=value)


def test_fraction_is_not_lost_to_rounding():
    assert budgets.Budget(units=0.29).target(100) == 29
    assert budgets.Budget(units=0.57).target(100) == 57


@pytest.mark.parametrize("value", [0, 0.0, 1.0 - 1, -2.5, np.inf, "1", True])
def test_latency_out_of_range(value):
    with pytest.raises(ValueError, match="Received: latency_ms="):
        budgets.Budget(latency_ms=value)


def test_latency_is_a_number_of_milliseconds_or_a_fraction():
    assert budgets.Budget(latency_ms=2.5).target(8.0) == 2.5
    assert budgets.Budget(latency_ms=3).target(8.0) == 3
    assert budgets.Budget(latency_ms=0.5).target(8.0) == 4.0


@pytest.mark.parametrize(
    "settings", [{"batch_size": 2}, {"threads": 2}, {"table": "times.json"}]
)
def test_settings_of_a_latency_are_refused_for_others(settings):
    budgets.Budget(latency_ms=0.5, **settings)
    with pytest.raises(ValueError, match="are those of a `latency_ms`. Rec"):
        budgets.Budget(macs=0.5, **settings)


@pytest.mark.parametrize("value", [0, -0.1, 1.5, "none", True])
def test_tolerance_out_of_range(value):
    with pytest.raises(ValueError, match=r"in \(0, 1\].*Received: tolerance="):
        budgets.Budget(macs=0.5, tolerance=value)


def test_budget_that_ends_too_far_below_names_the_nearest(two):
    # Of 3 and 4 units 22 weights, of 3 and 3 units 6 + 9 + 3 = 18, of 2 and 4
    # units 4 + 8 + 4 = 16.
    graph, scores = two
    for params, nearest in [(21, 18), (17, 16)]:
        with pytest.raises(
            ValueError, match=f"of {params} params .* 1% .* is {nearest} of 22"
        ):
            budgets.select(
                scores, graph, everything(graph), budgets.Budget(params=params)
            )
    keep = budgets.select(
        scores,
        graph,
        everything(graph),
        budgets.Budget(params=21, tolerance=0.15),
    )
    assert costs.Meter(graph)(keep).params == 18
