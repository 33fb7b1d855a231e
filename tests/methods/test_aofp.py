"""Tests for tfprune.methods.aofp."""

from absl import logging
import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import strategies
from tests import zoo
from tests.methods import tiny
from tfprune import budgets
from tfprune import compaction
from tfprune import costs
from tfprune import damage
from tfprune import halving
from tfprune import losses
from tfprune import masking
from tfprune import models
from tfprune import tracing
from tfprune.methods import aofp

LOSS = losses.CrossEntropy()


def method(budget=None, trainer=None, **kwargs):
    settings = {
        "steps": 400,
        "threshold": 0.5,
        "half_steps": 4,
        "warmup": 3,
        "seed": 1,
    }
    return aofp.AOFP(
        budget or budgets.Budget(units=8),
        trainer or tiny.sgd(),
        **settings | kwargs,
    )


def started(run, model=None):
    run.start(model or tiny.plain(), tiny.batches(), LOSS)
    return run


def halves(records):
    return [half for record in records for half in record["halves"]]


# Clocks


def targets(model, frozen):
    graph = tracing.trace(model, frozen)
    masked = masking.mask_model(model, graph)
    return damage.Damage(masked, graph).targets


def test_searches_of_vgg16_start_as_published():
    found = targets(models.vgg16(width=0.05), ["dense1"])
    places = [target.place for target in found]
    assert places == list(range(13))
    starts = halving.starts(places, half_steps=1000, warmup=500)
    assert starts[:2] == [500, 576] and starts[-1] == 1412


def test_searches_of_resnet56_start_as_published():
    model = models.resnet56("projection", width=0.25)
    found = targets(model, ["*_add"])
    places = [target.place for target in found]
    published = [*range(1, 18, 2), *range(20, 37, 2), *range(39, 56, 2)]
    assert len(places) == len(published) == 27
    # Ours counts a projection after the layers beside it.
    differ = [n for n in range(27) if places[n] != published[n]]
    assert [(places[n], published[n]) for n in differ] == [(19, 20), (38, 39)]
    starts = halving.starts(published, half_steps=1000, warmup=500)
    assert starts[:2] == [537, 611] and starts[-1] == 2535


def test_layers_start_one_after_another():
    run = started(method(budgets.Budget(units=3), half_steps=8, round_steps=1))
    records, _ = tiny.turned(run)
    ends = {}
    for half in halves(records):
        ends.setdefault(half["layer"], []).append(half["step"])
    # Steps are counted from 1: begins in steps 4 and 8, nine steps at first.
    assert [steps[0] for steps in ends.values()] == [12, 16]
    for steps in ends.values():
        assert len(steps) > 1 and set(np.diff(steps)) == {8}


# What goes


def test_moves_are_below_the_threshold():
    run = started(method(threshold=0.2))
    records, masks = tiny.turned(run)
    moves = [half for half in halves(records) if half["filters"]]
    assert moves and all(half["damage"][0] < 0.2 for half in moves)
    assert sum(half["filters"] for half in moves) == 16 - records[-1]["units"]
    failed = [half for half in halves(records) if not half["filters"]]
    assert failed and all(half["damage"][-1] >= 0.2 for half in failed)
    for before, after in zip(masks, masks[1:]):
        assert not np.any(after & ~before)


def test_first_move_by_hand():
    model, half_steps, warmup = tiny.plain(), 9, 3
    run = method(
        trainer=tiny.sgd(1e-6),
        threshold=10.0,
        half_steps=half_steps,
        round_steps=warmup + half_steps + 1,
    )
    (first, *_), (mask, *_) = tiny.turned(started(run, model))
    units = run.graph.layer_units("first")
    # The first layer is drawn first, whatever others there are.
    search = halving.Halving([units], run.graph.num_units, [0], 1, seed=1)
    search.search(0, units, 0)
    masked = masking.mask_model(model, run.graph)
    found = damage.Damage(masked, run.graph)
    total, hits = np.zeros(len(units)), np.zeros(len(units))
    data = [images for images, _ in tiny.batches()]
    for step in range(warmup, warmup + half_steps + 1):
        dropped = search.draw(step)
        ablating = found.ablating(tf.constant(1.0 - dropped, tf.float32))
        ablating(data[step % 3], training=True)
        ratio = ablating.change[0] / ablating.size[0]
        total += dropped[units] * float(ratio)
        hits += dropped[units]
    means = total / hits
    (half,) = first["halves"]
    assert half["layer"] == "first" and half["filters"] == 5
    np.testing.assert_allclose(
        half["damage"], np.quantile(means, [0, 0.25, 0.5, 0.75, 1]), rtol=1e-3
    )
    assert set(units[~mask[units]]) == set(units[np.argsort(means)[:5]])


@pytest.mark.parametrize("budget", [{"macs": 0.4}, {"params": 0.6}])
def test_last_move_lands_on_the_budget(budget):
    model = tiny.plain()
    # Whole moves would take half of a layer.
    run = started(
        method(budgets.Budget(**budget), threshold=100.0, round_steps=1), model
    )
    records, masks = tiny.turned(run)
    small = run.finish()
    ((name, share),) = budget.items()
    dense = getattr(costs.cost(model), name)
    assert getattr(costs.cost(small), name) <= share * dense
    report = run.report()["budget"]
    assert report["reached"] == getattr(costs.cost(small), name)
    assert report["dense"] == dense
    last = np.flatnonzero(masks[-2] & ~masks[-1])
    back = masks[-1].copy()
    back[last[-1]] = True  # One filter more, and it would not be met.
    assert getattr(costs.cost(model, run.graph, back), name) > share * dense


def test_layers_keep_min_units():
    run = started(
        method(
            budgets.Budget(units=8),
            threshold=100.0,
            min_units={"first": 5, "second": 3},
        )
    )
    tiny.turned(run)
    small = run.finish()
    widths = [small.get_layer(name).filters for name in ("first", "second")]
    assert widths == [5, 3]


def test_min_units_beyond_the_width_keep_the_layer():
    run = started(
        method(
            budgets.Budget(units=11),
            threshold=100.0,
            min_units={"second": 9},
        )
    )
    tiny.turned(run)
    small = run.finish()
    assert small.get_layer("second").filters == 6
    assert small.get_layer("first").filters == 5


def test_layer_with_a_single_filter_rests():
    budget = budgets.Budget(units=2)
    run = started(method(budget, threshold=100.0, round_steps=1))
    records, _ = tiny.turned(run)
    assert records[-1]["filters/first"] == records[-1]["filters/second"] == 1
    ends = [x for x in halves(records) if x["alive"] - x["filters"] == 1]
    assert len(ends) == 2
    for end in ends:
        own = [x for x in halves(records) if x["layer"] == end["layer"]]
        assert own[-1] is end


def test_frozen_layers_are_not_searched():
    run = started(method(budgets.Budget(units=5), frozen=["second"]))
    records, _ = tiny.turned(run)
    assert {half["layer"] for half in halves(records)} == {"first"}
    assert run.finish().get_layer("second").filters == 6


@pytest.mark.parametrize(
    "scores, halves",
    [
        (
            [0.5, 0.01, 0.3, 0.02, 0.4, 0.2],
            [(6, 0), (3, 1), (5, 0), (2, 1), (4, 0), (2, 0), (4, 0)],
        ),
        ([0.001, 0.002, 0.003, 0.004], [(4, 2), (2, 1)]),
    ],
)
def test_search_with_fixed_damages(scores, halves, monkeypatch):
    """The vectors V6 of the specification."""
    inputs = keras.Input((3,))
    x = layers.Dense(len(scores), name="layer")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(x))
    run = method(
        budgets.Budget(units=1), threshold=0.05, half_steps=1, steps=60
    )
    images = tiny.IMAGES[:, 0, 0]
    data = tf.data.Dataset.from_tensor_slices((images, tiny.LABELS)).batch(11)
    run.start(model, data, LOSS)
    scores = dict(zip(run.targets[0].units, scores))
    collect = halving.Halving.collect

    def fixed(self, number):
        units, _ = collect(self, number)
        return units, np.array([scores[unit] for unit in units])

    monkeypatch.setattr(halving.Halving, "collect", fixed)
    records, _ = tiny.turned(run)
    found = [half for record in records for half in record["halves"]]
    found = [(half["searched"], half["filters"]) for half in found]
    assert found[: len(halves)] == halves
    if len(scores) == 4:
        assert len(found) == 2 and run.finish().get_layer("layer").units == 1


# Any model


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "residual_identity",
        "residual_projection",
        "residual_padded",
        "preactivation",
        "dense_concat",
        "depthwise_separable",
        "squeeze_and_excite",
        "grouped",
        "nested",
        "siamese",
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_models_of_all_kinds(name, streams):
    model = zoo.network(name)
    shapes = [x.shape[1:] for x in model.inputs]
    inputs = [tiny.RNG.normal(size=(22, *x)).astype("float32") for x in shapes]
    inputs = inputs[0] if len(inputs) == 1 else tuple(inputs)
    data = tf.data.Dataset.from_tensor_slices((inputs, tiny.LABELS)).batch(11)
    budget = budgets.Budget(macs=0.8, tolerance=0.5)
    run = method(
        budget, tiny.sgd(1e-4), threshold=1e6, streams=streams, half_steps=2
    )
    run.check(model, data, LOSS)
    run.start(model, data, LOSS)
    tiny.turned(run)
    small = run.finish()
    assert costs.cost(small).macs <= 0.8 * costs.cost(model).macs


def test_streams_stay_unless_asked_for():
    for streams in (False, True):
        model = zoo.network("residual_identity")
        budget = budgets.Budget(macs=0.7, tolerance=0.5)
        run = method(budget, tiny.sgd(1e-4), threshold=1e6, streams=streams)
        run.start(model, tiny.batches(), LOSS)
        tiny.turned(run)
        run.finish()
        widths = {
            row["name"]: row["channels_after"]
            for row in run.report()["layers"]
        }
        stem = next(iter(widths))
        assert (widths[stem] < 6) == streams
        assert len(run.targets) == (3 if streams else 2)


# Training


def test_search_does_not_touch_the_training():
    """Until the first move, weights and statistics are those of training."""
    model, states = tiny.regular(), []
    for warmup in (0, 11):
        keras.utils.set_random_seed(0)
        run = started(
            method(threshold=1e-9, warmup=warmup, steps=12, round_steps=12),
            model,
        )
        run.step()
        states.append(run.state["model"])
    for left, right in zip(*states, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-7)


def test_momentum_of_pruned_weights_is_zero_after_a_move():
    run = started(method(threshold=100.0))
    run.step()
    keep = masking.get_mask(run.model, run.graph)
    assert not keep.all()
    slots = {x.name: x.numpy() for x in run.trainer.optimizer.variables}
    masks = masking.variable_masks(run.model, run.graph, keep)
    for variable, mask in masks:
        name = variable.path.replace("/", "_") + "_momentum"
        np.testing.assert_array_equal(slots[name][mask == 0], 0.0)


def test_model_is_left_as_it_is():
    model = tiny.regular()
    before = model.get_weights()
    tiny.turned(started(method(threshold=100.0), model))
    for left, right in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def synchronized():
    """Returns a network whose batch statistics are those of all replicas."""
    inputs = x = keras.Input((8, 8, 3))
    for filters, name in [(10, "first"), (6, "second")]:
        x = layers.Conv2D(filters, 3, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(synchronized=True)(x)
        x = layers.ReLU()(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


@pytest.mark.parametrize("make", [tiny.plain, synchronized])
def test_two_replicas_make_the_same_moves(make):
    found = []
    for strategy in (strategies.one_replica(), strategies.two_replicas()):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            # The last batch, of 6, is divided by two as well.
            run = method(trainer=tiny.sgd(0.01), threshold=0.3, round_steps=7)
            found.append(tiny.turned(started(run, make())))
    (ours, masks), (others, other_masks) = found
    np.testing.assert_array_equal(masks, other_masks)
    for left, right in zip(halves(ours), halves(others), strict=True):
        np.testing.assert_allclose(
            left.pop("damage"), right.pop("damage"), rtol=1e-3
        )
        assert left == right
    assert sum(half["filters"] for half in halves(ours)) == 8


def test_run_goes_on_in_the_middle_of_a_search():
    model = tiny.regular()

    def fresh():
        keras.utils.set_random_seed(0)
        return started(method(threshold=0.3, round_steps=13), model)

    undisturbed = fresh()
    expected, masks = tiny.turned(undisturbed)
    run, records = fresh(), []
    while not run.done:
        records.append(run.step())
        saved = [x.numpy() for x in sum(run.state.values(), [])]
        run = fresh()
        for variable, value in zip(sum(run.state.values(), []), saved):
            variable.assign(value)
    np.testing.assert_array_equal(
        masking.get_mask(run.model, run.graph), masks[-1]
    )
    for left, right in zip(halves(records), halves(expected), strict=True):
        np.testing.assert_allclose(
            left.pop("damage"), right.pop("damage"), rtol=1e-3
        )
        assert left == right


# The end


def test_budget_that_is_not_met_is_told(monkeypatch):
    told = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: told.append(text % args)
    )
    run = started(method(threshold=1e-9, steps=20, round_steps=20))
    tiny.turned(run)
    run.finish()
    (text,) = told
    assert "20 steps" in text and "'target': 8, 'reached': 16" in text
    assert run.report()["budget"]["reached"] == 16


def beside(first, second):
    """Returns a network of two layers beside each other, then joined."""
    inputs = keras.Input((8, 8, 3))
    x = [
        layers.Conv2D(8, size, padding="same", name=f"of_{size}")(inputs)
        for size in (first, second)
    ]
    x = layers.GlobalAveragePooling2D()(layers.Concatenate(name="joined")(x))
    return keras.Model(inputs, layers.Dense(3)(x))


@pytest.mark.parametrize("sizes", [(5, 1), (1, 5)])
def test_budget_that_may_be_reached_is_not_refused(sizes):
    """The layers share what may go, and most goes if it is that of 5 x 5."""
    budget = budgets.Budget(macs=20_000)
    method(budget, min_units={"joined": 9}).check(
        beside(*sizes), tiny.batches(), LOSS
    )
    with pytest.raises(ValueError, match="4,000 macs cannot be met: 4,998 st"):
        method(budgets.Budget(macs=4_000), min_units={"joined": 9}).check(
            beside(*sizes), tiny.batches(), LOSS
        )


def test_search_ends_when_no_more_may_go():
    run = method(
        budgets.Budget(macs=20_000),
        tiny.sgd(1e-6),
        threshold=0.001,
        min_units={"joined": 9},
    )
    model = beside(5, 1)
    model.get_layer("of_1").kernel.assign(np.zeros([1, 1, 3, 8]))
    records, _ = tiny.turned(started(run, model))
    assert records[-1]["step"] < 100
    assert records[-1]["filters/of_1"] == 1
    assert records[-1]["filters/of_5"] == 8


def test_search_that_need_not_begin(monkeypatch):
    model = tiny.plain()
    run = method(budgets.Budget(units=0.99))
    graph = tracing.trace(model)
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("first")[:5]] = False
    small = compaction.compact(model, graph, keep)
    run.start(small, tiny.batches(), LOSS, original=model)
    assert run.done
    told = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: told.append(text % args)
    )
    assert run.finish().get_layer("first").filters == 5
    assert run.report()["budget"]["dense"] == 16
    (text,) = told
    assert "was met before: {" in text


def test_damage_that_is_not_finite_stops_the_search():
    inputs = keras.Input((8, 8, 3))
    layer = layers.Dense(4, kernel_initializer="zeros", name="layer")
    scorer = layers.Dense(2, kernel_initializer="ones")
    x = keras.ops.log(scorer(layer(inputs)))  # of 1.5, or of -0.5 with a half
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    layer.bias.assign(np.ones(4))
    scorer.bias.assign(np.full(2, -2.5))
    run = started(method(budgets.Budget(units=1), tiny.sgd(1e-7)), model)
    with pytest.raises(FloatingPointError, match="filters of layer 'layer' mu"):
        tiny.turned(run)


# Arguments


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"threshold": 0.0}, "`threshold` must be a number .*: threshold=0.0"),
        ({"threshold": True}, "`threshold` must be .*threshold=True"),
        ({"threshold": np.inf}, "`threshold` must be .*threshold=inf"),
        ({"streams": "no"}, "`streams` must be True or False. .*'no'"),
        ({"threshold": "a"}, "`threshold` must be a number .*threshold='a'"),
        ({"seed": None}, "`seed` must be an int of at least 0. .*seed=None"),
        ({"seed": -1}, "`seed` must be an int of at least 0. .*seed=-1"),
        ({"warmup": -1}, "`warmup` must be an int of at least 0. .*warmup=-1"),
        ({"half_steps": 0}, "`half_steps` must be an int of at least 1"),
        ({"steps": 2.5}, "`steps` must be an int of at least 1"),
        ({"min_units": 0}, "`min_units` must be an int of at least 1"),
        (
            {"budget": budgets.Budget(latency_ms=0.5)},
            "takes minutes to measure.*Limit the `macs`",
        ),
        ({"trainer": keras.optimizers.SGD()}, "`trainer` must be a Trainer"),
    ],
)
def test_arguments_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        method(**settings)


def test_search_that_cannot_end_a_half_is_refused():
    run = method(steps=12, warmup=3, half_steps=9)
    with pytest.raises(
        ValueError, match="`steps` must reach.* after 13: "
    ):
        run.check(tiny.plain(), tiny.batches(), LOSS)
    method(steps=13, warmup=3, half_steps=9).check(
        tiny.plain(), tiny.batches(), LOSS
    )


def test_budget_that_cannot_be_met_is_refused():
    run = method(budgets.Budget(units=6), min_units=4)
    with pytest.raises(ValueError, match="of 6 units cannot be met: 8 stay"):
        run.check(tiny.plain(), tiny.batches(), LOSS)


def test_budget_need_not_be_hit():
    """The search ends below it, however far."""
    model = tiny.plain()
    least = costs.cost(model).macs // 10
    run = method(budgets.Budget(macs=least), threshold=1e9, half_steps=2)
    run.check(model, tiny.batches(), LOSS)
    tiny.turned(started(run, model))
    assert costs.cost(run.finish()).macs <= least


def test_searches_that_begin_too_late_are_told(monkeypatch):
    told = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: told.append(text % args)
    )
    run = method(steps=15, warmup=1, half_steps=10)
    run.check(tiny.plain(), tiny.batches(), LOSS)
    (text,) = told
    assert "In 15 steps" in text and "half: second. The last" in text
    assert "after 17." in text


def test_model_without_anything_to_search_is_refused():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(inputs)
    x = layers.LayerNormalization()(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    with pytest.raises(ValueError, match="must have a layer that can lose"):
        method(budgets.Budget(macs=0.99)).check(model, tiny.batches(), LOSS)


def test_loss_without_a_gradient_is_refused():
    def wrong(labels, outputs):
        return tf.cast(labels != tf.argmax(outputs, -1), tf.float32)

    with pytest.raises(ValueError, match="must have a gradient"):
        method().check(tiny.plain(), tiny.batches(), wrong)
