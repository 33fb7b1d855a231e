"""Tests for tfprune.methods.myopic_oracle."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import strategies
from tests import zoo
from tests.methods import tiny
from tfprune import Budget
from tfprune import criteria
from tfprune import evaluation
from tfprune import losses
from tfprune import masking
from tfprune import methods
from tfprune import models
from tfprune import pruning
from tfprune import replicas
from tfprune import tracing

LOSS = losses.CrossEntropy()
FIVE = [
    criteria.MeanActivation(),
    criteria.TaylorOutput(),
    criteria.Fisher(),
    criteria.MeanGradient(),
    criteria.MeanSquaredWeight(),
]


def method(which=FIVE, budget=None, data=None, **kwargs):
    return methods.MyopicOracle(
        which,
        Budget(units=8) if budget is None else budget,
        tiny.batches(8) if data is None else data,
        **{"candidates": 6, **kwargs},
    )


def started(run, model=None):
    run.start(tiny.plain() if model is None else model, tiny.batches(), LOSS)
    return run


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def test_each_step_removes_the_candidate_that_the_loss_misses_least():
    model = tiny.plain()
    whole = tiny.batches(22)
    run = started(method(data=whole, batches=1, oracle_batches=1), model)
    graph, other = run.graph, masking.mask_model(model, run.graph)

    def loss(keep):
        masking.set_mask(other, graph, keep)
        return evaluation.evaluate(other, whole, LOSS)["loss"]

    while not run.done:
        before = run.keep
        (removed,) = run.step()["removed"]
        base = loss(before)
        changes = {}
        for unit in np.flatnonzero(before & graph.prunable):
            keep = before.copy()
            keep[unit] = False
            if all(keep[units].any() for units in graph.unit_sets):
                changes[unit] = loss(keep) - base
        unit = removed["unit"]
        np.testing.assert_allclose(
            removed["loss_change"], changes[unit], atol=1e-5
        )
        # Six candidates of at most fourteen: no more than eight are better.
        better = sum(x < changes[unit] - 1e-5 for x in changes.values())
        assert better <= max(0, len(changes) - 6)
    assert run.keep[graph.prunable].sum() == 8


def test_all_candidates_make_it_the_exact_oracle():
    model = tiny.plain()
    whole = tiny.batches(22)
    run = started(
        method(data=whole, candidates=99, batches=1, oracle_batches=1), model
    )
    other = masking.mask_model(model, run.graph)
    keep = run.keep

    def loss(keep):
        masking.set_mask(other, run.graph, keep)
        return evaluation.evaluate(other, whole, LOSS)["loss"]

    found = {}
    for unit in np.flatnonzero(run.graph.prunable):
        without = keep.copy()
        without[unit] = False
        found[unit] = loss(without)
    (removed,) = run.step()["removed"]
    assert removed["unit"] == min(found, key=found.get)


def test_one_criterion_and_one_candidate_are_greedy():
    model = tiny.plain()
    run = started(method(criteria.WeightNorm(), candidates=1), model)
    kernels = [model.get_layer(x).kernel.numpy() for x in ("first", "second")]
    first, second = (run.graph.layer_units(x) for x in ("first", "second"))
    for _ in range(4):
        keep = run.keep
        norms = np.full(run.graph.num_units, np.inf)
        norms[first] = np.abs(kernels[0]).sum(axis=(0, 1, 2))
        live = kernels[1] * keep[first][:, None]
        norms[second] = np.abs(live).sum(axis=(0, 1, 2))
        norms[~keep] = np.inf
        (removed,) = run.step()["removed"]
        assert removed["unit"] == norms.argmin()
        assert removed["loss_change"] is None
        assert removed["criterion"] == "WeightNorm"


@pytest.mark.parametrize("name", ["residual_identity", "residual_padded"])
def test_every_step_removes_a_live_unit(name):
    model = zoo.network(name)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, *model.input_shape[1:])).astype("float32")
    labels = rng.integers(0, model.output_shape[-1], 8)
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
    run = methods.MyopicOracle(
        FIVE, Budget(units=1 / 3, tolerance=1.0), data, 5
    )
    run.start(model, data, LOSS)
    while not run.done:
        before = run.keep
        record = run.step()
        (removed,) = record["removed"]
        assert before[removed["unit"]] and record["pruned"] == 1
        assert (before & ~run.keep).sum() == 1


def test_layers_keep_their_least_units():
    run = started(method(budget=Budget(units=9), min_units={"second": 4}))
    tiny.turned(run)
    assert run.keep[run.graph.layer_units("second")].sum() >= 4


def test_records_tell_what_went_and_rounds_hold_several():
    run = started(method(round_units=3))
    records, _ = tiny.turned(run)
    assert [record["step"] for record in records] == [3, 6, 8]
    assert [record["pruned"] for record in records] == [3, 3, 2]
    for record in records:
        assert record["phase"] == "prune" and record["loss"] > 0
        for removed in record["removed"]:
            assert removed["layer"] in ("first", "second")
            assert removed["criterion"] in [x.name for x in FIVE]
    assert run.progress == (8, 8)


def test_seeds_choose_batches():
    found = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(0)
        run = started(method(data=tiny.batches(4), seed=seed, batches=1))
        records, _ = tiny.turned(run)
        found.append([record["removed"][0]["unit"] for record in records])
    assert found[0] == found[1] != found[2]


def test_one_and_two_replicas_remove_the_same_units():
    found = []
    for strategy in (strategies.one_replica(), strategies.two_replicas()):
        with strategy.scope():
            keras.utils.set_random_seed(0)
            run = started(method())
            records, _ = tiny.turned(run)
        found.append([record["removed"][0]["unit"] for record in records])
    assert found[0] == found[1]


def learnt():
    """Returns a model that has learnt its images."""
    model = tiny.plain()
    trainer = tiny.sgd()
    trainer.build(model)
    _, step = replicas.distribute(
        tiny.batches(22), lambda *pair: trainer.step(model, LOSS, *pair)[1]
    )
    for _ in range(30):
        step((tiny.IMAGES, tiny.LABELS))
    return model


def test_it_ends_before_the_accuracy_falls(caplog):
    model = learnt()
    whole = tiny.batches(22)
    run = method(
        budget=Budget(units=2), data=whole, stop_accuracy=0.7, round_units=2
    )
    run.oracle_batches = 1
    run.check(model, tiny.batches(), LOSS)
    started(run, model)
    records, _ = tiny.turned(run)
    assert evaluation.evaluate(run.model, whole, LOSS)["accuracy"] > 0.7
    assert records[-1]["pruned"] == 0 and not records[-1]["removed"]
    left = int(run.keep[run.graph.prunable].sum())
    assert left > 2
    run.finish()
    assert "without meeting its budget" in caplog.text
    assert f"'target': 2, 'reached': {left}" in caplog.text


def test_round_that_falls_too_far_is_undone_with_its_training():
    whole = tiny.batches(22)
    # All weights decay to 0 in the first round.
    run = method(
        budget=Budget(units=2),
        data=whole,
        stop_accuracy=0.7,
        trainer=tiny.sgd(1.0, weight_decay=1.0),
        fine_tuning_steps=1,
    )
    run.oracle_batches = 1
    started(run, learnt())
    before = [x.numpy() for x in run.model.variables]
    record = run.step()
    assert run.done and not record["removed"] and record["pruned"] == 0
    assert record["step"] == 0
    for old, new in zip(before, run.model.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_fine_tuning_trains_after_each_unit():
    run = started(method(trainer=tiny.sgd(), fine_tuning_steps=2))
    before = run.model.get_layer("first").layer.kernel.numpy()
    tiny.turned(run)
    assert run.loop.done == 16
    after = run.model.get_layer("first").layer.kernel.numpy()
    assert np.abs(after - before).max() > 0


class Stop(Exception):
    pass


@pytest.mark.slow
def test_a_killed_run_removes_the_same_units(tmp_path):
    def pruned(folder, stop=None):
        keras.utils.set_random_seed(0)
        seen = []

        def on_record(record, progress):
            seen.append(record)
            if record["step"] == stop:
                raise Stop

        small = pruning.prune(
            tiny.plain(),
            tiny.batches(),
            method(
                criteria.TaylorFO(),
                Budget(units=12),
                candidates=2,
                trainer=tiny.sgd(),
                fine_tuning_steps=1,
            ),
            loss_fn=LOSS,
            output_dir=folder,
            validation_data=tiny.batches(),
            on_record=on_record,
        )
        return small, [record["removed"][0]["unit"] for record in seen]

    whole, units = pruned(tmp_path / "whole")
    with pytest.raises(Stop):
        pruned(tmp_path / "killed", stop=2)
    resumed, rest = pruned(tmp_path / "killed")
    assert rest == units[2:]
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"candidates": 2}, "one for each criterion. Received: candidates=2"),
        ({"stop_accuracy": 1.5}, r"share in \(0, 1\), or None. .*=1.5"),
        ({"fine_tuning_steps": 3}, "come together. Received: trainer=None"),
        ({"budget": Budget(latency_ms=0.5)}, "Limit the `macs`"),
        ({"batches": 0}, "`batches` must be an int of at least 1"),
        ({"which": criteria.Fisher}, "must be a Criterion, a list"),
        ({"seed": -1}, "`seed` must be an int of at least 0"),
    ],
)
def test_bad_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        method(**kwargs)


def test_same_data_for_both_are_refused():
    data = tiny.batches()
    with pytest.raises(ValueError, match="another split than that of the run"):
        method(data=data).check(tiny.plain(), data, LOSS)


def test_accuracy_that_is_lower_already_is_refused():
    run = method(stop_accuracy=0.999)
    with pytest.raises(ValueError, match="must be below the accuracy of the"):
        run.check(tiny.plain(), tiny.batches(), LOSS)


def test_budget_that_no_unit_ends_at_is_met_from_below():
    # Whole units of the first layer hold a share of the parameters each.
    run = method(budget=Budget(params=0.5, tolerance=1e-6))
    run.check(tiny.plain(), tiny.batches(), LOSS)


def test_budget_out_of_reach_is_refused():
    run = method(budget=Budget(units=3), min_units=4)
    with pytest.raises(ValueError, match="cannot be met"):
        run.check(tiny.plain(), tiny.batches(), LOSS)


@pytest.mark.slow
def test_resnet20_has_no_dead_candidates():
    model = models.resnet20(width=0.125)
    graph = tracing.trace(model)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(16, 32, 32, 3)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((images, np.arange(16) % 10))
    run = methods.MyopicOracle(
        FIVE, Budget(units=int(graph.prunable.sum()) - 4), data.batch(8), 5
    )
    run.start(model, data.batch(8), LOSS)
    for _ in range(4):
        before = run.keep
        (removed,) = run.step()["removed"]
        assert before[removed["unit"]] and not run.keep[removed["unit"]]
