"""Tests for tfprune.latency."""

import json
import pathlib

import keras
from keras import layers
import numpy as np
import pytest

from tests import zoo
from tfprune import budgets
from tfprune import costs
from tfprune import exporting
from tfprune import latency
from tfprune import measuring
from tfprune import rankings
from tfprune import selection
from tfprune import stopwatch
from tfprune import timing
from tfprune import tracing


def network():
    inputs = keras.Input((16, 16, 3))
    x = zoo.conv_bn(inputs, 48)
    y = zoo.conv_bn(zoo.conv_bn(x, 64), 48)
    x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(inputs, zoo.head(zoo.conv_bn(x, 96)))


def everything(graph):
    return np.ones(graph.num_units, bool)


@pytest.fixture
def counted(monkeypatch):
    """Lets a model take 1 ms for 1,000 multiply-accumulates; returns all."""
    seen = []

    def write(model, path):
        macs = costs.cost(model).macs / 1e3
        seen.append(macs)
        path = pathlib.Path(path)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(macs))

    def timed(folders, *settings):
        return [
            {path.name: json.loads(path.read_text()) for path in each.iterdir()}
            for each in map(pathlib.Path, folders)
        ]

    monkeypatch.setattr(exporting, "write", write)
    monkeypatch.setattr(measuring, "timed", timed)
    return seen


@pytest.fixture
def table(tmp_path):
    return tmp_path / "cache" / "latency.json"


def test_a_call_is_measured_with_the_pointwise_ones_that_follow_it():
    graph = tracing.trace(network())
    kinds = [
        [type(call.layer).__name__ for call, _ in part]
        for part in latency._split(graph)
    ]
    conv = ["Conv2D", "BatchNormalization", "ReLU"]
    assert kinds[:4] == [conv, conv, conv, ["Add", "ReLU"]]
    assert sum(kinds, []) == [type(x.layer).__name__ for x in graph.nodes]


@pytest.mark.parametrize(
    "name", ["residual_padded", "depthwise_separable", "siamese", "sliced"]
)
def test_sum_of_the_parts_is_the_whole_at_any_widths(name, counted, table):
    # Multiply-accumulates are linear in each width, so nothing is lost.
    graph = tracing.trace(zoo.NETWORKS[name]())
    gauge = latency.Latency(graph, 1, 1, table)
    for keep in (everything(graph), zoo.random_keep(graph, 1, 0.8)):
        macs = costs.Meter(graph)(keep).macs / 1e3
        assert gauge.measured(keep) == pytest.approx(macs, abs=1e-3)
    assert gauge._sum(gauge.groups.widths(everything(graph))) == pytest.approx(
        costs.Meter(graph)(everything(graph)).macs / 1e3
    )


def test_whole_models_of_any_structure_are_measured(counted, table):
    same = [
        keras.Sequential([keras.Input([6]), layers.Dense(6, name="same")])
        for _ in range(2)
    ]
    inputs = keras.Input([6])
    outputs = {"handed_on": inputs, "dense": same[1](same[0](inputs))}
    graph = tracing.trace(keras.Model(inputs, outputs))
    gauge = latency.Latency(graph, 1, 1, table)
    assert gauge.measured(everything(graph)) == 2 * 36 / 1e3


def test_rows_of_a_run_beside_this_one_are_kept(counted, table):
    model = keras.Sequential([keras.Input([6]), layers.Dense(6)])
    stores = [measuring.Store(table, 1, 1) for _ in range(2)]
    for name, store in zip("ab", stores):
        store.measure([{name: lambda: model}], latency.PART)
    stores[0].measure([{"c": lambda: model}], latency.PART)
    assert all(name in stores[0] for name in "ac")
    assert all(name in measuring.Store(table, 1, 1) for name in "abc")


def test_what_was_measured_is_not_measured_again(counted, table):
    first = latency.Latency(tracing.trace(network()), 1, 1, table)
    assert counted
    counted.clear()
    second = latency.Latency(tracing.trace(network()), 1, 1, table)
    assert not counted
    widths = first.groups.widths(everything(tracing.trace(network())))
    assert first(widths) == second(widths)
    latency.Latency(tracing.trace(network()), 1, 2, table)
    assert counted  # other threads
    counted.clear()
    latency.Latency(tracing.trace(network()), 4, 1, table)
    assert counted  # another batch size


def test_what_was_measured_before_a_kill_is_kept(counted, table, monkeypatch):
    graph, measured = tracing.trace(network()), measuring.timed

    def killed(folders, *settings):
        if table.exists():
            raise KeyboardInterrupt
        return measured(folders, *settings)

    monkeypatch.setattr(latency, "AT_ONCE", 2)
    monkeypatch.setattr(measuring, "timed", killed)
    with pytest.raises(KeyboardInterrupt):
        latency.Latency(graph, 1, 1, table)
    (rows,) = json.loads(table.read_text()).values()
    monkeypatch.setattr(measuring, "timed", measured)
    counted.clear()
    latency.Latency(graph, 1, 1, table)
    (more,) = json.loads(table.read_text()).values()
    assert 0 < len(rows) < len(more) - 5  # More than the whole models.
    assert len(counted) == len(more) - len(rows)


def test_no_unit_lowers_the_latency(monkeypatch, table):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(measuring.Store, "__contains__", lambda *_: True)
    monkeypatch.setattr(
        measuring.Store, "__getitem__", lambda *_: rng.uniform(1, 2)
    )
    graph = tracing.trace(network())
    gauge = latency.Latency(graph, 1, 1, table)
    for seed in range(20):
        widths = gauge.groups.widths(zoo.random_keep(graph, seed))
        for group in np.flatnonzero(gauge.groups.prunable):
            one_less = widths - (np.arange(len(widths)) == group)
            assert gauge(one_less) <= gauge(widths) + 1e-9


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_budget_is_met_by_the_finished_model(share, counted, table):
    graph = tracing.trace(network())
    scores = np.random.default_rng(0).random(graph.num_units)
    budget = budgets.Budget(latency_ms=share, table=table)
    keep = budgets.select(scores, graph, everything(graph), budget)
    dense, left = map(costs.Meter(graph), (everything(graph), keep))
    assert 0.95 * share <= left.macs / dense.macs <= share
    number = budgets.Budget(latency_ms=share * dense.macs / 1e3, table=table)
    np.testing.assert_array_equal(
        budgets.select(scores, graph, everything(graph), number), keep
    )


def test_budget_that_the_finished_model_cannot_meet(counted, table):
    graph = tracing.trace(network())
    scores = np.random.default_rng(0).random(graph.num_units)
    budget = budgets.Budget(latency_ms=1, table=table)
    with pytest.raises(ValueError, match="of 1 latency_ms cannot .* is 13.8"):
        budgets.select(scores, graph, everything(graph), budget)


def test_run_that_cannot_meet_its_budget_is_warned(counted, table, monkeypatch):
    warnings = []
    monkeypatch.setattr(
        selection.logging, "warning", lambda *args: warnings.append(args[-1])
    )
    graph = tracing.trace(network())
    scores = np.random.default_rng(0).random(graph.num_units)
    keep = everything(graph)
    for share in (0.5, 0.001):
        budget = budgets.Budget(latency_ms=share, table=table)
        selector = selection.Selector(
            graph, budget, 1, rankings.global_ranking, 1.0, 1
        )
        keep = selector.nearest(scores, keep)
    (warning,) = warnings
    assert "cannot be met" in warning and "nearest found is" in warning
    assert not keep.all()


def test_nearest_latency_below_a_millisecond_is_a_share(counted, table):
    inputs = keras.Input((8,))
    x = layers.Dense(8, name="wide")(inputs)  # 64 + 80 products
    graph = tracing.trace(keras.Model(inputs, layers.Dense(10)(x)))
    scores = graph.layer_units("wide")[-1] - np.arange(graph.num_units)

    def select(share):
        budget = budgets.Budget(latency_ms=share, table=table)
        return budgets.select(scores, graph, everything(graph), budget)

    with pytest.raises(ValueError, match="0.018 of 0.144, a share of 0.125. T"):
        select(0.01)
    assert graph.num_units - select(0.125).sum() == 7


def test_sizes_must_be_known(counted, table):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, zoo.head(zoo.conv(inputs, 5)))
    with pytest.raises(ValueError, match="where all sizes are known.*fixed in"):
        latency.Latency(tracing.trace(model), 1, 1, table)


@pytest.mark.slow
def test_wider_model_takes_longer_on_this_machine(monkeypatch, table):
    monkeypatch.setattr(latency, "WHOLE", latency.PART._replace(processes=2))
    graph = tracing.trace(network())
    gauge = latency.Latency(graph, 2, 1, table)
    keep = everything(graph)
    dense = gauge.measured(keep)
    keep[graph.prunable] = np.arange(graph.prunable.sum()) % 4 == 0
    quarter = gauge.measured(keep)
    assert 0 < quarter < 0.7 * dense
    (rows,) = json.loads(table.read_text()).values()
    assert all(time >= 0 for time in rows.values())


def test_process_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="(?s)process of its own .*absent"):
        measuring.timed([tmp_path / "absent"], 1, 1, latency.PART)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"machine": 3}'])
def test_damaged_table_is_refused(table, text):
    table.parent.mkdir()
    table.write_text(text)
    with pytest.raises(ValueError, match="written here. Received.*Delete it"):
        measuring.Store(table, batch_size=1, threads=1)


@pytest.mark.parametrize("number, clock", [("1", "cpu_ms"), ("2", "wall_ms")])
def test_one_thread_is_told_by_cpu_time(monkeypatch, threads, number, clock):
    asked = []
    monkeypatch.setattr(
        stopwatch, "_times", lambda *given: asked.append(given[1:])
    )
    stopwatch.main("3", number, "5", "20.0", "folder")
    assert threads == [int(number), int(number)]
    assert asked == [(3, 5, 20.0, clock)]


@pytest.mark.parametrize("clock, least", [("cpu_ms", 2), ("wall_ms", 5)])
def test_least_sample_of_an_export_counts(monkeypatch, tmp_path, clock, least):
    rows = [timing.Sample(cpu_ms=3, wall_ms=5), timing.Sample(2, 7)]
    monkeypatch.setattr(stopwatch.serving, "load", lambda path: None)
    monkeypatch.setattr(stopwatch.speed, "calls", lambda exports, size: exports)
    monkeypatch.setattr(
        stopwatch.timing,
        "samples",
        lambda calls, *settings: {"a": rows} if settings == (2, 20.0) else {},
    )
    (tmp_path / "a").mkdir()
    assert stopwatch._times(tmp_path, 1, 2, 20.0, clock) == {"a": least}


def test_parts_are_timed_quickly_and_whole_models_with_care(
    monkeypatch, counted, table
):
    efforts, measured = [], measuring.timed

    def timed(folders, *settings):
        efforts.append(settings)
        return measured(folders, *settings)

    monkeypatch.setattr(measuring, "timed", timed)
    latency.Latency(tracing.trace(network()), 3, 2, table)
    assert efforts == [(3, 2, latency.PART), (3, 2, latency.WHOLE)]
    assert latency.PART < latency.WHOLE


def test_process_that_is_slower_does_not_change_a_ratio(monkeypatch):
    processes = [
        [{"a": 2, "b": 4}, {"c": 7}],
        [{"a": 6, "b": 12}, {"c": 9}],
        [{"a": 9, "b": 9}, {"c": 5}],
    ]
    asked = []

    def in_process(*arguments):
        asked.append(arguments)
        return processes[len(asked) - 1]

    monkeypatch.setattr(measuring, "_in_process", in_process)
    effort = measuring.Effort(runs=5, sample_ms=2.5, processes=3)
    pair, single = measuring.timed(["x", "y"], 8, 1, effort)
    assert asked == [("8", "1", "5", "2.5", "x", "y")] * 3
    assert pair["b"] / pair["a"] == pytest.approx(2)
    assert sum(pair.values()) == pytest.approx(18)
    assert single == {"c": pytest.approx(7)}
