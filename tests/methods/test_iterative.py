"""Tests for tfprune.methods.iterative."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import strategies
from tests.methods import tiny
from tfprune import budgets
from tfprune import costs
from tfprune import criteria
from tfprune import losses
from tfprune import masking
from tfprune import models
from tfprune import rankings
from tfprune import rules
from tfprune import schedules
from tfprune import scoring
from tfprune import tracing
from tfprune import training
from tfprune import verification
from tfprune.methods import iterative
from tfprune.rules import base as rules_base


def one_device():
    return tf.distribute.OneDeviceStrategy("CPU:0")


def one_replica():
    return tf.distribute.MirroredStrategy(["CPU:0"])


def decay(begin=2, end=8, frequency=2):
    return schedules.PolynomialDecay(0.0, 0.5, begin, end, frequency=frequency)


def once(step):
    return schedules.ConstantSparsity(0.5, step, step, frequency=1)


def method(budget=None, schedule=None, trainer=None, steps=10, **kwargs):
    return iterative.Iterative(
        criteria.TaylorFO(),
        budget or budgets.Budget(units=0.5),
        schedule or decay(),
        trainer or tiny.sgd(),
        steps,
        **kwargs,
    )


def started(run, model=None, dataset=None):
    run.start(
        model or tiny.plain(), dataset or tiny.batches(), losses.CrossEntropy()
    )
    return run


def checked(run, model=None):
    run.check(model or tiny.plain(), tiny.batches(), losses.CrossEntropy())


# What is left


@pytest.mark.parametrize(
    "policy",
    ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"],
)
@pytest.mark.parametrize(
    "criterion", [criteria.TaylorFO(), criteria.WeightNorm(2)]
)
def test_models_of_any_precision_are_pruned(policy, criterion):
    keras.config.set_dtype_policy(policy)
    try:
        model = tiny.regular()
    finally:
        keras.config.set_dtype_policy("float32")
    trainer = tiny.sgd(
        weight_decay=0.01,
        clip_norm=1.0,
        distillation=losses.Distillation(0.5),
    )
    run = iterative.Iterative(
        criterion, budgets.Budget(units=7), decay(), trainer, 10
    )
    checked(run, model)
    records, _ = tiny.turned(started(run, model))
    assert records[-1]["units"] == 7
    assert np.isfinite(records[-1]["loss"])
    small = run.finish()
    assert small.layers[1].kernel.dtype == model.layers[1].kernel.dtype


def test_number_of_units_is_met_exactly():
    run = started(method(budgets.Budget(units=7)))
    records, masks = tiny.turned(run)
    small = run.finish()
    assert records[-1]["units"] == 7
    assert (masks[-1] & run.graph.prunable).sum() == 7
    widths = [small.get_layer(n).filters for n in ("first", "second")]
    assert sum(widths) == 7


@pytest.mark.parametrize("budget", [{"macs": 0.4}, {"params": 0.6}])
def test_budget_is_never_exceeded(budget):
    model = tiny.plain()
    run = started(method(budgets.Budget(**budget)), model)
    records, _ = tiny.turned(run)
    small = run.finish()
    ((name, share),) = budget.items()
    left = getattr(costs.cost(small), name)
    assert left <= share * getattr(costs.cost(model), name)
    assert records[-1][name] == left
    assert run.report()["budget"] == {
        "resource": name,
        "dense": getattr(costs.cost(model), name),
        "target": int(share * getattr(costs.cost(model), name)),
        "reached": left,
    }
    assert records[-1]["units"] < 16


def test_pruned_units_never_come_back():
    run = started(method(budgets.Budget(units=4), steps=14, round_steps=1))
    records, masks = tiny.turned(run)
    units = [record["units"] for record in records]
    assert units == sorted(units, reverse=True)
    for before, after in zip(masks[:-1], masks[1:], strict=True):
        assert not np.any(after & ~before)
    assert sum(record["pruned"] for record in records) == 16 - 4


def test_masks_stay_while_fine_tuning():
    run = started(method(steps=14, round_steps=1))
    records, masks = tiny.turned(run)
    for record, mask in zip(records[8:], masks[8:], strict=True):
        assert record["phase"] == "fine-tune" and record["pruned"] == 0
        np.testing.assert_array_equal(mask, masks[7])
    assert {record["phase"] for record in records[:8]} == {"prune"}


def test_frozen_layers_keep_their_channels():
    run = started(method(budgets.Budget(units=3), frozen=["second"]))
    _, masks = tiny.turned(run)
    assert masks[-1][run.graph.layer_units("second")].all()
    assert run.finish().get_layer("first").filters == 3
    reasons = {
        layer["name"]: layer["reason"] for layer in run.report()["layers"]
    }
    assert reasons["first"] == ""
    assert reasons["second"] == "asked for by the user"


def test_every_layer_keeps_min_units():
    run = started(method(budgets.Budget(units=8), min_units=4))
    tiny.turned(run)
    small = run.finish()
    widths = [small.get_layer(n).filters for n in ("first", "second")]
    assert widths == [4, 4]


def test_layers_come_down_with_the_model_to_what_they_may_keep():
    run = started(method(max_units={"first": 0.2}, schedule=decay(2, 8, 2)))
    _, masks = tiny.turned(run)
    units = run.graph.layer_units("first")
    left = [int(mask[units].sum()) for mask in masks]
    assert left[-1] == 2
    assert sorted(left, reverse=True) == left and 2 < left[1] < 10


def test_widths_are_aligned():
    run = started(method(budgets.Budget(macs=0.5), align=2))
    tiny.turned(run)
    small = run.finish()
    for name in ("first", "second"):
        assert small.get_layer(name).filters % 2 == 0
    assert small.count_params() < tiny.plain().count_params()


def test_model_is_left_as_it_is():
    model = tiny.regular()
    before = model.get_weights()
    tiny.turned(started(method(), model))
    for left, right in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


class Scaling(layers.Layer):
    """Has a factor that its config does not tell."""

    factor = 1.0

    def call(self, inputs):
        return self.factor * inputs


def test_model_that_does_more_than_its_graph_shows_is_refused():
    inputs = keras.Input((8, 8, 3))
    x = Scaling()(layers.Conv2D(10, 3, activation="relu")(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    model.layers[2].factor = 2.0
    with pytest.raises(
        verification.VerificationError, match="its graph shows"
    ):
        method().start(model, tiny.batches(), losses.CrossEntropy())


def test_layers_of_the_report_are_those_of_the_model():
    run = started(method(budgets.Budget(units=7)))
    tiny.turned(run)
    small = run.finish()
    found = run.report()
    assert found["verification"]["max_abs_output"] > 0
    for layer in found["layers"]:
        if layer["name"] in ("first", "second"):
            filters = small.get_layer(layer["name"]).filters
            assert layer["channels_after"] == filters


# When


def test_share_of_the_way_is_that_of_the_schedule():
    schedule = schedules.PolynomialDecay(0.0, 0.8, 2, 8, frequency=2)
    run = started(method(budgets.Budget(units=4), schedule))
    records, _ = tiny.turned(run)
    assert [r["step"] for r in records] == [2, 4, 6, 8, 10]
    shares = [1 - (1 - done / 6) ** 3 for done in (0, 2, 4, 6)]
    expected = [16 - round(12 * share) for share in shares]
    assert [r["units"] for r in records] == [*expected, 4]


def wide():
    """Returns a network with the numbers of gates of the papers' ResNet-50."""
    inputs = x = keras.Input((1,))
    x = [layers.Dense(width)(inputs) for width in (3840, 7552)]
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(x)))


@pytest.mark.parametrize(
    "left, prunings", [(8192, 32), (10392, 10), (5892, 55)]
)
def test_linear_schedule_takes_as_many_units_each_time(left, prunings):
    data = tf.data.Dataset.from_tensor_slices(
        (np.array([[1.0], [-2.0]], "float32"), [0, 1])
    )
    schedule = schedules.PolynomialDecay(
        0.0, 0.3, 0, 3 * prunings, power=1, frequency=3
    )
    run = started(
        method(budgets.Budget(units=left), schedule, steps=3 * prunings),
        wide(),
        data.batch(2),
    )
    records, _ = tiny.turned(run)
    assert [r["step"] for r in records] == [*range(3, 3 * prunings + 1, 3)]
    assert [r["pruned"] for r in records] == prunings * [100]
    assert records[-1]["units"] == left


def test_constant_sparsity_prunes_at_once():
    schedule = schedules.ConstantSparsity(0.5, 2, 6, frequency=2)
    run = started(method(budgets.Budget(units=5), schedule))
    records, _ = tiny.turned(run)
    assert [r["units"] for r in records] == [5, 5, 5, 5]
    assert [r["pruned"] for r in records] == [11, 0, 0, 0]
    assert ["threshold" in r for r in records] == [True, False, False, False]


class Halfway(schedules.PruningSchedule):
    """Prunes after 3 and 5 steps, in two equal parts."""

    end_step = 5

    def __call__(self, step):
        return step in (3, 5), 0.2 if step < 5 else 0.4

    def get_config(self):
        return {}


def test_schedule_of_a_user():
    run = started(method(budgets.Budget(units=6), Halfway(), steps=6))
    records, _ = tiny.turned(run)
    assert [(r["step"], r["units"]) for r in records] == [
        (3, 11),
        (5, 6),
        (6, 6),
    ]


def test_rounds_end_after_round_steps():
    schedule = once(5)
    run = started(method(schedule=schedule, steps=9, round_steps=2))
    records, _ = tiny.turned(run)
    assert [r["step"] for r in records] == [2, 4, 5, 7, 9]
    assert run.progress == (9, 9)


# Scores


def test_scores_are_averaged_over_the_interval():
    model = tiny.plain()
    schedule = once(4)
    run = started(
        method(
            schedule=schedule, trainer=tiny.sgd(0.0), steps=4, round_steps=3
        ),
        model,
    )
    run.step()  # three training steps that change nothing
    masked = masking.mask_model(model, run.graph)
    expected = scoring.score(
        masked,
        run.graph,
        criteria.TaylorFO(),
        tiny.batches(),
        losses.CrossEntropy(),
    )["TaylorFO"]
    _, summed, count, *_ = run.state["method"]
    assert count == 3
    np.testing.assert_allclose(summed / 3, expected, rtol=1e-4, atol=1e-12)
    assert np.ptp(expected) > 0


def test_momentum_keeps_a_share_of_the_average_before():
    # The model does not learn, so that all means are equal until units go.
    found, model = {}, tiny.plain()
    for momentum in (0.0, 0.75):
        run = started(
            method(
                schedule=decay(3, 9, 3),
                trainer=tiny.sgd(0.0),
                steps=9,
                momentum=momentum,
            ),
            model,
        )
        found[momentum] = []
        while not run.done:
            run.step()
            found[momentum].append(run.state["method"][3].numpy())
    means, averages = found.values()
    np.testing.assert_array_equal(averages[0], means[0])
    np.testing.assert_allclose(averages[1], means[0], rtol=1e-6)
    assert np.ptp(means[2] - means[1]) > 0
    np.testing.assert_allclose(
        averages[2], 0.75 * averages[1] + 0.25 * means[2], rtol=1e-5
    )


@pytest.mark.parametrize("strategy", [one_device, strategies.two_replicas])
def test_scores_are_those_before_the_update(strategy):
    with strategy().scope():
        model = tiny.plain()
        run = iterative.Iterative(
            criteria.WeightNorm(2),
            budgets.Budget(units=8),
            once(1),
            tiny.sgd(0.5),
            steps=1,
        )
        started(run, model).step()
    scores = run.state["method"][3].numpy()
    for name in ("first", "second"):
        kernel, _ = model.get_layer(name).get_weights()
        trained, _ = run.model.get_layer(name).layer.get_weights()
        norms, later = (
            np.sqrt((x**2).sum(axis=(0, 1, 2))) for x in (kernel, trained)
        )
        found = scores[run.graph.layer_units(name)]
        np.testing.assert_allclose(found, norms, rtol=1e-5)
        assert np.abs(later / norms - 1).max() > 1e-3


def test_lowest_scores_go():
    model = tiny.plain()
    schedule = once(3)
    run = started(
        method(schedule=schedule, trainer=tiny.sgd(0.0), steps=3), model
    )
    _, (mask,) = tiny.turned(run)
    scores = scoring.score(
        masking.mask_model(model, run.graph),
        run.graph,
        criteria.TaylorFO(),
        tiny.batches(),
        losses.CrossEntropy(),
    )["TaylorFO"]
    prunable = np.flatnonzero(run.graph.prunable)
    worst = prunable[np.argsort(scores[prunable])[:8]]
    np.testing.assert_array_equal(np.flatnonzero(~mask), np.sort(worst))


STATISTICS = {"threshold", "score_min", "score_median", "score_max"}


def test_records_of_prunings_tell_of_the_scores():
    model = tiny.plain()
    run = started(
        method(schedule=once(3), trainer=tiny.sgd(0.0), steps=4), model
    )
    records, (mask, _) = tiny.turned(run)
    scores = scoring.score(
        masking.mask_model(model, run.graph),
        run.graph,
        criteria.TaylorFO(),
        tiny.batches(),
        losses.CrossEntropy(),
    )["TaylorFO"]
    found = {name: records[0][name] for name in STATISTICS}
    alive = scores[run.graph.prunable]
    assert alive.min() > 0
    assert found == pytest.approx(
        {
            "threshold": np.sort(alive)[7],
            "score_min": alive.min(),
            "score_median": np.median(alive),
            "score_max": alive.max(),
        },
        rel=1e-3,
    )
    assert found["threshold"] == pytest.approx(scores[~mask].max(), rel=1e-3)
    assert not STATISTICS & records[1].keys()  # a round of fine-tuning


class Numbers(criteria.Criterion):
    """Scores the units that are alive with their numbers, less something."""

    def __init__(self, less):
        self.less = less

    def contributions(self, batch):
        numbers = tf.range(batch.graph.num_units, dtype=tf.float32)
        return tf.where(batch.alive, numbers - self.less, 0)[tf.newaxis]

    def reduce(self, contributions):
        return tf.reduce_mean(contributions, axis=0)


@pytest.mark.parametrize("positive", [5, 0])
def test_records_tell_of_the_positive_scores(positive):
    model = tiny.plain()
    last = np.flatnonzero(tracing.trace(model).prunable)[-1]
    run = iterative.Iterative(
        Numbers(last - positive),
        budgets.Budget(units=13),
        once(1),
        tiny.sgd(),
        steps=1,
    )
    (record,), _ = tiny.turned(started(run, model))
    spread = {"score_min": 1, "score_median": 3, "score_max": 5}
    expected = {"threshold": positive - 13, **(spread if positive else {})}
    assert {k: record[k] for k in STATISTICS & record.keys()} == expected


def test_scores_begin_anew_after_a_pruning():
    run = started(method())
    run.step()
    run.step()
    _, summed, count, *_ = run.state["method"]
    assert count == 0
    np.testing.assert_array_equal(summed, np.zeros(run.graph.num_units))


class Alive(criteria.Criterion):
    """Scores the units that are alive with 1, the others with 0."""

    def contributions(self, batch):
        return tf.cast(batch.alive, tf.float32)[tf.newaxis]

    def reduce(self, contributions):
        return tf.reduce_mean(contributions, axis=0)


def test_criteria_know_which_units_are_alive():
    run = iterative.Iterative(
        Alive(),
        budgets.Budget(units=5),
        decay(2, 6),
        tiny.sgd(),
        8,
        round_steps=1,
    )
    started(run)
    seen = []
    while not run.done:
        before = masking.get_mask(run.model, run.graph) & run.graph.prunable
        run.step()
        _, summed, count, *_ = run.state["method"]
        if count == 1:  # Scores since the last pruning.
            np.testing.assert_array_equal(summed, before)
            seen.append(before.sum())
    assert seen == [16, 16, 6]


def test_ranking_is_the_users():
    def backwards(scores, graph, keep):
        return -scores

    kept = []
    for ranking in (rankings.global_ranking, backwards):
        schedule = once(3)
        keras.utils.set_random_seed(0)
        run = started(method(schedule=schedule, steps=3, ranking=ranking))
        kept.append(tiny.turned(run)[1][-1] & run.graph.prunable)
    assert not np.any(kept[0] & kept[1])


# Training


def test_momentum_of_pruned_weights_is_zero_after_pruning():
    run = started(method(schedule=once(4)))
    run.step()
    keep = masking.get_mask(run.model, run.graph)
    masks = masking.variable_masks(run.model, run.graph, keep)
    slots = {
        slot.name: slot.numpy() for slot in run.trainer.optimizer.variables
    }
    seen = 0
    for variable, mask in masks:
        name = variable.path.replace("/", "_") + "_momentum"
        seen += int((mask == 0).sum())
        np.testing.assert_array_equal(slots[name][mask == 0], 0.0)
        assert np.any(slots[name][mask == 1] != 0)
    assert seen > 0


def test_distillation_learns_from_the_model_before_pruning():
    kept = []
    for weight in (0.0, 1.0):
        keras.utils.set_random_seed(0)
        trainer = tiny.sgd(distillation=losses.Distillation(weight))
        run = started(method(trainer=trainer), tiny.regular())
        records, _ = tiny.turned(run)
        kept.append(records)
    # A student that is its teacher has nothing to learn.
    assert kept[1][0]["loss"] < 0.5 * kept[0][0]["loss"]


def test_dropout_is_part_of_the_state():
    run = started(method(), tiny.regular())
    shapes = [v.shape for v in run.state["model"]]
    assert tf.TensorShape([2]) in shapes  # the seed of the dropout
    before = [v.numpy() for v in run.state["model"] if v.shape == [2]]
    run.step()
    after = [v.numpy() for v in run.state["model"] if v.shape == [2]]
    assert not np.array_equal(before, after)


def test_loss_that_is_not_finite_stops_the_run():
    run = started(method(trainer=tiny.sgd(1e30)))
    with pytest.raises(FloatingPointError, match=r"Received: .* step \d+\."):
        tiny.turned(run)
    for weight in run.model.get_weights():
        assert np.all(np.isfinite(weight))


@pytest.mark.parametrize("rounds", [1, 4, 5])
def test_run_goes_on_from_its_state_to_the_bit(rounds):
    def made():
        keras.utils.set_random_seed(0)
        run = method(schedule=decay(4, 8), momentum=0.9, round_steps=1)
        return started(run, tiny.regular())

    def values(run):
        return [[x.numpy() for x in part] for part in run.state.values()]

    whole, rest = made(), made()
    for _ in range(rounds):
        whole.step()
    for left, right in zip(rest.state.values(), whole.state.values()):
        for old, new in zip(left, right, strict=True):
            old.assign(new)
    records, masks = zip(*(tiny.turned(run) for run in (whole, rest)))
    assert records[0] == records[1] and sum(x["pruned"] for x in records[0])
    np.testing.assert_array_equal(*masks)
    for left, right in zip(values(whole), values(rest), strict=True):
        for each, other in zip(left, right, strict=True):
            np.testing.assert_array_equal(each, other)


# Replicas


def trained(strategy, build, budget, size, **kwargs):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = build()
        run = method(budget, trainer=tiny.sgd(**kwargs))
        started(run, model, tiny.batches(size))
        records, masks = tiny.turned(run)
        return records, masks, run.finish().get_weights()


@pytest.mark.parametrize("size", [8, 5])  # parts of 4 + 4, or of 3 + 2
def test_two_replicas_choose_the_units_of_one(size):
    budget = budgets.Budget(macs=0.4)
    results = [
        trained(strategy(), tiny.plain, budget, size)
        for strategy in (strategies.two_replicas, one_replica, one_device)
    ]
    records, masks, weights = results[0]
    for other_records, other_masks, other_weights in results[1:]:
        np.testing.assert_array_equal(masks, other_masks)
        for left, right in zip(records, other_records, strict=True):
            assert right.pop("phase") == left["phase"]
            expected = {k: v for k, v in left.items() if k != "phase"}
            assert right == pytest.approx(expected, rel=1e-5)
        for left, right in zip(weights, other_weights, strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


def test_two_replicas_train_all_kinds_of_layers():
    records, masks, weights = trained(
        strategies.two_replicas(),
        tiny.regular,
        budgets.Budget(units=6),
        size=5,
        distillation=losses.Distillation(0.5),
    )
    assert records[-1]["units"] == 6
    assert all(np.all(np.isfinite(weight)) for weight in weights)


# Settings


@pytest.mark.parametrize(
    "schedule, message",
    [
        (
            decay(2, 9),
            r"must prune in its `end_step`.*'end_step': 9.*multiple",
        ),
        (decay(2, 12), "from 1 to `steps`. Received: end_step=12, steps=10"),
        (
            schedules.ConstantSparsity(0.5, 2, frequency=2),
            "from 1 to `steps`. Received: end_step=-1",
        ),
        (
            schedules.ConstantSparsity(0.0, 2, 8, 2),
            "to a sparsity above 0. Received: .*'target_sparsity': 0.0",
        ),
        (
            0.5,
            "`schedule` must be a PruningSchedule,.* Received: schedule=0.5",
        ),
    ],
)
def test_schedules_that_cannot_work_are_refused(schedule, message):
    with pytest.raises(ValueError, match=message):
        method(schedule=schedule)


@pytest.mark.parametrize("name", ["steps", "align", "round_steps"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "10", None])
def test_counts_are_positive_ints(name, value):
    with pytest.raises(
        ValueError, match=f"`{name}` must be an int of at least 1. Received: "
    ):
        method(**{name: value})


@pytest.mark.parametrize("value", [0, 2.5, "10", {"first": 0}])
@pytest.mark.parametrize("name", ["min_units", "max_units"])
def test_limits_are_numbers_of_units(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be an int of at le"):
        method(**{name: value})


@pytest.mark.parametrize("value", [-0.1, 1, 1.5])
def test_momentum_is_a_share(value):
    message = f"of at least 0 and below 1. Received: momentum={value}"
    with pytest.raises(ValueError, match=message):
        method(momentum=value)


@pytest.mark.parametrize(
    "name, kind",
    [("criterion", "Criterion"), ("budget", "Budget"), ("trainer", "Trainer")],
)
def test_parts_of_a_wrong_type_are_refused(name, kind):
    parts = {
        "criterion": criteria.TaylorFO(),
        "budget": budgets.Budget(units=4),
        "schedule": decay(),
        "trainer": tiny.sgd(),
        "steps": 10,
    }
    with pytest.raises(
        ValueError, match=f"`{name}` must be a {kind},.* Received: {name}=0.5"
    ):
        iterative.Iterative(**(parts | {name: 0.5}))


@pytest.mark.parametrize(
    "ranking, message",
    [
        ("global", "must be a function .* Received: ranking='global'"),
        (lambda scores, graph, keep: scores[:2], r"`ranking` returns must be"),
        (rankings.MacsRegularized, "must be a function .*MacsRegularized"),
    ],
)
def test_ranking_is_refused_before_training(ranking, message):
    with pytest.raises(ValueError, match=message):
        checked(method(ranking=ranking))


@pytest.mark.parametrize("ranking", [rankings.cost_ranking, None])
def test_ranking_must_take_the_signs_of_the_criterion(ranking):
    if ranking is None:
        ranking = rankings.MacsRegularized(1e-6, rankings.cost_ranking)
    run = method(ranking=ranking)
    checked(run)
    run.criterion = criteria.OBD()
    with pytest.raises(ValueError, match="any sign.*criterion=OBD.*at least 0"):
        checked(run)


def test_budget_that_other_scores_meet_is_not_refused():
    model = models.lenet5((8, 8, 1), kernel_size=3, padding="same")
    images = np.zeros((2, 8, 8, 1), "float32")
    data = tf.data.Dataset.from_tensors((images, np.zeros(2, int)))
    run = method(budgets.Budget(macs=0.5))
    run.check(model, data, losses.CrossEntropy())


def test_unreachable_budget_is_refused_before_training():
    run = method(budgets.Budget(macs=0.01))
    with pytest.raises(
        ValueError, match="cannot be met.*nearest found is"
    ):
        checked(run)
    with pytest.raises(ValueError, match="`min_units`=8, .* The nearest"):
        checked(method(budgets.Budget(units=10), min_units=8))


def test_criterion_that_does_not_cover_the_model_is_refused():
    run = iterative.Iterative(
        criteria.BNScale(), budgets.Budget(units=0.5), decay(), tiny.sgd(), 10
    )
    with pytest.raises(ValueError, match="BNScale must find .* layer 'first'"):
        checked(run)
    with pytest.raises(
        ValueError, match="BNScale must find .* layer 'second"
    ):
        checked(run, tiny.regular())


class Total(criteria.TaylorFO):
    """Gives one number for all units."""

    def reduce(self, contributions):
        return tf.reduce_sum(contributions)


def test_criterion_of_another_shape_is_refused_before_training():
    run = iterative.Iterative(
        Total(), budgets.Budget(units=0.5), decay(), tiny.sgd(), 10
    )
    with pytest.raises(ValueError, match="`reduce` of Total must be of shape"):
        checked(run)


def test_trainer_that_does_not_fit_is_refused():
    used = tiny.sgd()
    used.build(tiny.plain())
    with pytest.raises(ValueError, match="keeps the state of one model"):
        checked(method(trainer=used))
    adafactor = training.Trainer(keras.optimizers.Adafactor())
    with pytest.raises(ValueError, match="Received: Adafactor"):
        checked(method(trainer=adafactor))
    inputs = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3)(inputs))
    two = keras.Model(inputs, [layers.Dense(3)(x), layers.Dense(3)(x)])
    distilling = tiny.sgd(distillation=losses.Distillation(0.5))
    with pytest.raises(ValueError, match="a model with one output. Received"):
        checked(method(trainer=distilling), two)


@pytest.mark.parametrize("strategy", [one_device, strategies.two_replicas])
def test_loss_without_gradient_is_refused_before_training(strategy):
    with (
        strategy().scope(),
        pytest.raises(ValueError, match="have a gradient"),
    ):
        method().check(
            tiny.plain(),
            tiny.batches(),
            lambda labels, outputs: tf.cast(
                tf.argmax(outputs, -1) != labels, tf.float32
            ),
        )


@pytest.mark.parametrize(
    "strategy", [one_device, one_replica, strategies.two_replicas]
)
def test_check_reads_no_data(strategy):
    read = []

    def count(inputs, labels):
        tf.py_function(lambda: read.append(1), [], [])
        return inputs, labels

    with strategy().scope():
        run = method(trainer=tiny.sgd())
        run.check(
            tiny.plain(), tiny.batches().map(count), losses.CrossEntropy()
        )
    assert read == []
    assert not run.trainer.optimizer.built


@keras.saving.register_keras_serializable(package="tests.iterative")
class Shift(layers.Layer):
    """A shift for each channel."""

    def build(self, shape):
        self.shift = self.add_weight(shape=shape[-1:], name="shift")

    def call(self, x):
        return x + self.shift


class Forgetful(rules.Rule):
    """Passes units on, and does not tell that they lie on the shift."""

    def outputs(self, node):
        return node.inputs[:]


def with_hidden(layer):
    inputs = keras.Input((8, 8, 3))
    x = layer(layers.Conv2D(6, 3)(layers.Conv2D(5, 1)(inputs)))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


@pytest.mark.parametrize(
    "strategy", [one_device, one_replica, strategies.two_replicas]
)
def test_rule_that_forgets_axes_is_refused_before_training(
    strategy, monkeypatch
):
    monkeypatch.setattr(rules_base, "_RULES", dict(rules_base._RULES))
    rules.register_rule(Shift, Forgetful())
    with strategy().scope():
        model = with_hidden(Shift(name="shift"))
        with pytest.raises(
            ValueError, match=r"'shift' of type Shift.*\(6,\).*\(5,\).*`axes`"
        ):
            checked(method(), model)


def test_objects_of_a_scope_are_refused_before_training():
    def doubled(x):
        return 2 * x

    model = with_hidden(layers.Activation(doubled, name="doubled"))
    with keras.saving.custom_object_scope({"doubled": doubled}):
        with pytest.raises(
            ValueError, match="'doubled' of type Act.*register_keras_serial"
        ):
            checked(method(), model)


def test_model_that_draws_is_refused_before_training():
    class Drawing(layers.Layer):
        def call(self, x):
            return x + keras.random.normal((1, 1, 1, 6))

    with pytest.raises(verification.VerificationError, match="'drawing'"):
        checked(method(), with_hidden(Drawing(name="drawing")))


def test_unknown_frozen_layer_is_refused():
    with pytest.raises(ValueError, match="absent"):
        started(method(frozen=["absent"]))


def test_dataset_that_can_be_read_once_is_refused():
    once = iter(list(tiny.batches()))
    dataset = tf.data.Dataset.from_generator(
        lambda: once, output_signature=tiny.batches().element_spec
    )
    with pytest.raises(ValueError, match="again and again.*ended after 3"):
        tiny.turned(started(method(), dataset=dataset))
