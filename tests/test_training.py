"""Tests for tfprune.training."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import strategies
from tests import vectors
from tests import versions
from tfprune import losses
from tfprune import training
from tfprune.layers import channel_mask

OPTIMIZERS = [
    lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    lambda: keras.optimizers.Adam(0.1, amsgrad=True),
    lambda: keras.optimizers.AdamW(0.1),
    lambda: keras.optimizers.Adadelta(0.1),
    lambda: keras.optimizers.Adagrad(0.1),
    lambda: keras.optimizers.Adamax(0.1),
    lambda: keras.optimizers.Ftrl(0.1),
    lambda: keras.optimizers.Lamb(0.1),
    lambda: keras.optimizers.Lion(0.1),
    pytest.param(
        lambda: keras.optimizers.Muon(0.1), marks=versions.needs_keras("3.13")
    ),
    lambda: keras.optimizers.Nadam(0.1),
    lambda: keras.optimizers.RMSprop(0.1, momentum=0.9, centered=True),
    pytest.param(
        lambda: keras.optimizers.ScheduleFreeAdamW(0.1),
        marks=versions.needs_keras("3.14"),
    ),
]


# One step by hand


@pytest.mark.parametrize(
    "settings, decay, rates",
    [
        (
            {"weight_decay": 0.01, "exclude_from_weight_decay": ("bias",)},
            0.01,
            (0.1, 0.1),
        ),
        # The last factor that is found counts.
        ({"learning_rate_factors": {".*": 0.5, "bias": 2.0}}, 0, (0.05, 0.2)),
    ],
)
def test_momentum_decay_and_factors_are_those_of_the_papers(
    settings, decay, rates
):
    model = vectors.dense(2)
    targets = np.ones((11, 2), "float32")
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    trainer = training.Trainer(optimizer, **settings)
    trainer.build(model)
    kernel, bias = model.get_weights()
    velocity = [0.0, 0.0]
    for _ in range(3):
        gradients = vectors.error_step(kernel, bias, vectors.INPUTS, targets)
        gradients = [gradients[0] + decay * kernel, gradients[1]]
        velocity = [
            0.9 * v + g for v, g in zip(velocity, gradients, strict=True)
        ]
        kernel, bias = (
            x - rate * v
            for x, rate, v in zip((kernel, bias), rates, velocity, strict=True)
        )
        trainer.step(model, vectors.squared_error, vectors.INPUTS, targets)
    vectors.assert_all_close(model.get_weights(), [kernel, bias], rtol=1e-5)


def test_constraints_hold_whatever_the_factor():
    inputs = keras.Input((4,))
    outputs = layers.Dense(2, kernel_constraint="non_neg")(inputs)
    model = keras.Model(inputs, outputs)
    trainer = training.Trainer(
        keras.optimizers.SGD(0.6), learning_rate_factors={"kernel": 5.0}
    )
    trainer.build(model)
    targets = np.ones((11, 2), "float32")
    for _ in range(3):
        trainer.step(model, vectors.squared_error, vectors.INPUTS, targets)
        assert (model.get_weights()[0] >= 0).all()


def test_gradient_is_clipped_by_its_global_norm_before_the_decay():
    model = vectors.dense(2)
    targets = np.ones((11, 2), "float32")
    trainer = training.Trainer(
        keras.optimizers.SGD(1.0), weight_decay=0.5, clip_norm=0.3
    )
    trainer.build(model)
    weights = model.get_weights()
    gradients = vectors.error_step(*weights, vectors.INPUTS, targets)
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    assert norm > 0.3
    expected = [
        w - (g * 0.3 / norm + 0.5 * w)
        for w, g in zip(weights, gradients, strict=True)
    ]
    trainer.step(model, vectors.squared_error, vectors.INPUTS, targets)
    vectors.assert_all_close(
        model.get_weights(), expected, rtol=1e-5, atol=1e-7
    )


def test_group_lasso_comes_before_the_rule_of_the_optimizer():
    model = vectors.convolved()
    trainer = training.Trainer(
        keras.optimizers.SGD(0.5),
        learning_rate_factors={"kernel": 2.0},
        group_lasso=0.05,
    )
    trainer.build(model)
    before = model.get_weights()
    found, _ = trainer.step(
        model, losses.CrossEntropy(), vectors.INPUTS, vectors.LABELS
    )
    gradients = [gradient / 11 for gradient in found.gradients]
    kernel = before[0]  # [1, 1, 4, 6]
    norms = np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
    assert (norms > 0.05).all()
    shrunk = [kernel - 0.05 * kernel / norms, *before[1:]]
    rates = [1.0, 0.5, 1.0, 0.5]
    expected = [
        w - rate * g
        for w, rate, g in zip(shrunk, rates, gradients, strict=True)
    ]
    vectors.assert_all_close(
        model.get_weights(), expected, rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_group_lasso_makes_filters_smaller_with_every_optimizer(optimizer):
    norms = []
    for group_lasso in (0.0, 0.02):
        model, *_ = trained(
            strategies.one_replica(),
            vectors.convolved,
            optimizer,
            11,
            group_lasso=group_lasso,
        )
        kernel, *_ = model.get_weights()
        assert np.isfinite(kernel).all()
        norms.append(np.sqrt((kernel**2).sum(axis=(0, 1, 2))))
    assert norms[1].mean() < norms[0].mean()


def test_step_reports_the_mean_loss():
    model = vectors.dense(2)
    targets = np.ones((11, 2), "float32")
    trainer = training.Trainer(keras.optimizers.SGD(0.1))
    trainer.build(model)
    expected = ((targets - model(vectors.INPUTS)) ** 2).numpy().sum(axis=1)
    found, update = trainer.step(
        model, vectors.squared_error, vectors.INPUTS, targets
    )
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5)
    np.testing.assert_allclose(update.loss, expected.mean(), rtol=1e-5)
    assert update.finite


def test_step_taps_every_replica():
    strategy = strategies.two_replicas()
    with strategy.scope():
        model = vectors.tapped()
        trainer = training.Trainer(keras.optimizers.SGD(0.1))
        trainer.build(model)

        @tf.function
        def run(batch):
            found, _ = strategy.run(
                lambda inputs, labels: trainer.step(
                    model,
                    losses.CrossEntropy(),
                    inputs,
                    labels,
                    tap=channel_mask.tapped,
                ),
                args=batch,
            )
            return found.taps[0][1], found.tap_gradients[0]

        dataset = vectors.batches(4, labels=vectors.LABELS % 2)
        distributed = strategy.experimental_distribute_dataset(dataset)
        for results in run(next(iter(distributed))):
            parts = strategy.experimental_local_results(results)
            assert [part.shape for part in parts] == [(2, 5), (2, 5)]


# Replicas


def trained(strategy, build, optimizer, size, **kwargs):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = build()
        trainer = training.Trainer(optimizer(), **kwargs)
        updates = vectors.train(model, vectors.batches(size), trainer, 3)
        return model, trainer, updates


@pytest.mark.parametrize(
    "build, size",  # 11 examples end in 1 + 2, or in 1.
    [(vectors.dense, 4), (vectors.dense, 5), (vectors.convolved, 4)],
)
def test_two_replicas_train_as_one(build, size):
    options = dict(
        weight_decay=0.1,
        clip_norm=0.2,
        exclude_from_weight_decay=["bias"],
        learning_rate_factors={"bias": 2.0},
        group_lasso=0.01 if build is vectors.convolved else 0.0,
    )
    one, two = (
        trained(strategy, build, OPTIMIZERS[0], size, **options)
        for strategy in (strategies.one_replica(), strategies.two_replicas())
    )
    for left, right in zip(one[2], two[2], strict=True):
        np.testing.assert_allclose(left.loss, right.loss, rtol=1e-5)
    for part in (0, 1):
        vectors.assert_all_close(
            vectors.values(one[part].variables),
            vectors.values(two[part].variables),
            rtol=1e-5,
            atol=1e-6,
        )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_trains_as_in_a_plain_loop(optimizer):
    keras.utils.set_random_seed(0)
    model, plain = vectors.dense(), optimizer()
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = losses.CrossEntropy()(vectors.LABELS, model(vectors.INPUTS))
            loss = tf.reduce_mean(loss)
        variables = model.trainable_variables
        plain.apply(tape.gradient(loss, variables), variables)
    actual, _, _ = trained(
        strategies.two_replicas(), vectors.dense, optimizer, 11
    )
    vectors.assert_all_close(
        actual.get_weights(), model.get_weights(), rtol=1e-4, atol=1e-5
    )


def test_moving_statistics_are_equal_on_all_replicas():
    model, _, _ = trained(
        strategies.two_replicas(), vectors.normalised, OPTIMIZERS[0], 5
    )
    for weight in model.weights:
        first, second = weight.value.values
        np.testing.assert_array_equal(first, second)
        assert np.all(np.isfinite(first))


def test_moving_statistics_are_the_mean_over_replicas_by_examples():
    keras.utils.set_random_seed(0)
    with strategies.two_replicas().scope():
        model = vectors.normalised()
        norm = model.layers[2]
        hidden = vectors.INPUTS[:3] @ model.layers[1].kernel.numpy()
        trainer = training.Trainer(keras.optimizers.SGD(0.0))
        vectors.train(model, vectors.batches(3).take(1), trainer)
    means = [hidden[:2].mean(axis=0), hidden[2:].mean(axis=0)]
    variances = [hidden[:2].var(axis=0), np.zeros(5)]
    # momentum 0.5, from 0 and 1
    np.testing.assert_allclose(
        norm.moving_mean, 0.5 * (2 * means[0] + means[1]) / 3, rtol=1e-4
    )
    np.testing.assert_allclose(
        norm.moving_variance,
        0.5 + 0.5 * (2 * variances[0] + variances[1]) / 3,
        rtol=1e-4,
    )


# Losses that are not finite


@pytest.mark.parametrize(
    "strategy", [strategies.one_replica, strategies.two_replicas]
)
def test_loss_that_is_not_finite_changes_nothing(strategy):
    inputs = vectors.INPUTS.copy()
    inputs[9] = np.nan
    before = []
    with strategy().scope():
        model = vectors.normalised()
        trainer = training.Trainer(OPTIMIZERS[0](), weight_decay=0.1)
        vectors.train(model, vectors.batches(4), trainer)
        before = vectors.values(model.variables + trainer.variables)
        wrong = vectors.batches(4, inputs[8:], vectors.LABELS[8:])
        (update,) = vectors.train(model, wrong, trainer)
    assert np.isnan(update.loss) and not update.finite
    vectors.assert_all_close(
        vectors.values(model.variables + trainer.variables), before, rtol=0
    )


def test_group_lasso_waits_for_a_finite_loss():
    model = vectors.convolved()
    before = model.get_weights()
    trainer = training.Trainer(keras.optimizers.SGD(0.1), group_lasso=0.01)
    trainer.build(model)
    wrong = np.full_like(vectors.INPUTS, np.nan)
    trainer.step(model, losses.CrossEntropy(), wrong, vectors.LABELS)
    vectors.assert_all_close(model.get_weights(), before, rtol=0)


def test_gradient_that_is_not_finite_changes_nothing():
    model = vectors.dense(2)
    before = model.get_weights()
    trainer = training.Trainer(keras.optimizers.SGD(0.1))
    trainer.build(model)
    _, update = trainer.step(
        model,
        lambda labels, outputs: tf.sqrt(0 * outputs[:, 0]),
        vectors.INPUTS,
        vectors.LABELS,
    )
    assert update.loss == 0 and not update.finite
    vectors.assert_all_close(model.get_weights(), before, rtol=0)


# Slots


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_masked_weights_without_gradient_stay_where_they_are(optimizer):
    model = vectors.dense()
    trainer = training.Trainer(optimizer())
    trainer.build(model)
    for _ in range(3):
        trainer.step(
            model, losses.CrossEntropy(), vectors.INPUTS, vectors.LABELS
        )
    kernel, bias = model.trainable_variables
    mask = np.ones((4, 3), "float32")
    mask[1] = 0
    kernel.assign(kernel * mask)
    state = vectors.values(trainer.variables)
    trainer.mask_slots([(kernel, mask)])
    for slot, old in zip(trainer.variables, state, strict=True):
        if slot.shape == (4, 3):
            kept = mask.astype(bool)
            np.testing.assert_array_equal(slot.numpy()[kept], old[kept])
            fresh = 0.1 if slot.name.endswith("_accumulator") else 0.0
            np.testing.assert_allclose(slot.numpy()[~kept], fresh)
        else:
            np.testing.assert_array_equal(slot.numpy(), old)
    inputs = vectors.INPUTS * mask[:, 0]
    for _ in range(3):
        trainer.step(model, losses.CrossEntropy(), inputs, vectors.LABELS)
    assert np.all(kernel[1] == 0) and np.all(np.isfinite(kernel))


def test_slots_of_variables_with_one_path_are_told_apart():
    inputs = keras.Input((4,))
    towers = []
    for _ in range(2):
        x = keras.Input((4,))
        towers.append(keras.Model(x, layers.Dense(4, name="same")(x)))
    model = keras.Model(inputs, towers[1](towers[0](inputs)))
    first, _, second, _ = model.trainable_variables
    assert first.path == second.path
    trainer = training.Trainer(OPTIMIZERS[2]())
    trainer.build(model)
    for variable in trainer.variables[2:]:
        variable.assign(tf.ones_like(variable))
    trainer.mask_slots([(second, np.zeros((4, 4), "float32"))])
    total = [float(tf.reduce_sum(v.value)) for v in trainer.variables[2:]]
    assert total.count(0.0) == 3  # momentum, velocity, largest velocity
    _, update = trainer.step(
        model, losses.CrossEntropy(), vectors.INPUTS, vectors.LABELS
    )
    momenta = [v for v in trainer.variables if v.name == "same_kernel_momentum"]
    assert update.finite
    assert np.abs(momenta[0]).mean() > 0.5 > np.abs(momenta[1]).mean()


def test_slots_are_masked_on_every_replica():
    with strategies.two_replicas().scope():
        model = vectors.dense()
        trainer = training.Trainer(OPTIMIZERS[0]())
        vectors.train(model, vectors.batches(4).take(2), trainer)
        kernel, bias = model.trainable_variables
        trainer.mask_slots([(kernel, np.zeros((4, 3), "float32"))])
    for replica in trainer.variables[2].value.values:
        np.testing.assert_array_equal(replica, np.zeros((4, 3)))


def test_slots_of_other_shapes_are_refused():
    model = vectors.dense()
    trainer = training.Trainer(keras.optimizers.Adafactor(0.1))
    trainer.build(model)
    with pytest.raises(ValueError, match="slot '.*kernel' of shape .* of Adaf"):
        trainer.mask_slots([(model.trainable_variables[0], np.zeros((4, 3)))])


# Distillation


@pytest.mark.parametrize(
    "strategy", [strategies.one_replica, strategies.two_replicas]
)
def test_student_learns_from_the_teacher(strategy):
    with strategy().scope():
        teacher, student = vectors.dense(), vectors.dense()
        before = vectors.values(teacher.variables)
        trainer = training.Trainer(
            keras.optimizers.Adam(0.1), distillation=losses.Distillation(1.0)
        )
        first, *_, last = vectors.train(
            student, vectors.batches(11), trainer, 60, teacher
        )
    assert last.loss < 0.1 * first.loss
    vectors.assert_all_close(vectors.values(teacher.variables), before, rtol=0)


def test_teacher_runs_in_inference_mode():
    teacher, student = vectors.normalised(), vectors.dense()
    teacher.layers[2].moving_mean.assign([5.0, 4.0, 3.0, 2.0, 1.0])
    distillation = losses.Distillation(1.0)
    trainer = training.Trainer(
        keras.optimizers.SGD(0.1), distillation=distillation
    )
    trainer.build(student, teacher)
    logits = teacher(vectors.INPUTS, training=False)
    expected = distillation(0.0, student(vectors.INPUTS), logits)
    found, _ = trainer.step(
        student, losses.CrossEntropy(), vectors.INPUTS, vectors.LABELS
    )
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5)


def test_distillation_needs_a_teacher_and_one_output():
    trainer = training.Trainer(
        keras.optimizers.SGD(0.1), distillation=losses.Distillation()
    )
    with pytest.raises(ValueError, match="needs a teacher. Received: teacher="):
        trainer.build(vectors.dense())
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [layers.Dense(3)(inputs), inputs])
    with pytest.raises(ValueError, match="with one output. Received: .* 2"):
        trainer.build(model, teacher=model)


# Arguments of the trainer


@pytest.mark.parametrize(
    "options, message",
    [
        ({"clip_norm": 0.0}, "above 0, or None. Received: clip_norm=0.0"),
        (
            {"learning_rate_factors": {"bias": 0.0}},
            "above 0; .*trainable = False.* Received: .*{'bias': 0.0}",
        ),
        (
            {"learning_rate_factors": {"*bias": 2.0}},
            "regular expressions. Received: '.bias', which is none: nothing",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        training.Trainer(keras.optimizers.SGD(0.1), **options)


@pytest.mark.parametrize("name", ["weight_decay", "group_lasso"])
def test_decay_out_of_range_is_refused(name):
    with pytest.raises(ValueError, match=f"Received: {name}=-1.0"):
        training.Trainer(keras.optimizers.SGD(0.1), **{name: -1.0})


def test_group_lasso_needs_a_convolution():
    trainer = training.Trainer(keras.optimizers.SGD(0.1), group_lasso=0.1)
    with pytest.raises(ValueError, match="of convolutions. Received: model "):
        trainer.build(vectors.dense())


def test_trainer_keeps_to_one_model():
    trainer = training.Trainer(keras.optimizers.SGD(0.1))
    model = vectors.dense()
    trainer.build(model)
    trainer.build(model)
    with pytest.raises(ValueError, match="of one model. .*; make a new Train"):
        trainer.build(vectors.dense())


def test_optimizer_that_was_used_before_is_refused():
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    vectors.train(
        vectors.dense(), vectors.batches(4), training.Trainer(optimizer)
    )
    with pytest.raises(ValueError, match="be new: .* after 3 steps; make a"):
        training.Trainer(optimizer).check(vectors.dense())
    built = keras.optimizers.Adam(0.1)
    built.build(vectors.dense().trainable_variables)
    with pytest.raises(ValueError, match="for other weights, after 0 steps"):
        training.Trainer(built).build(vectors.dense())


# Resuming


def test_resumed_training_equals_uninterrupted(tmp_path):
    def parts():
        keras.utils.set_random_seed(0)
        trainer = training.Trainer(keras.optimizers.Nadam(0.1))
        model = vectors.normalised()
        trainer.build(model)
        state = tf.train.Checkpoint(state=model.variables + trainer.variables)
        return model, trainer, state

    model, trainer, state = parts()
    vectors.train(model, vectors.batches(4), trainer, 2)
    path = state.write(str(tmp_path / "state"))
    vectors.train(model, vectors.batches(4), trainer, 2)
    expected = vectors.values(model.variables)
    model, trainer, state = parts()
    state.read(path).assert_consumed()
    vectors.train(model, vectors.batches(4), trainer, 2)
    vectors.assert_all_close(vectors.values(model.variables), expected, rtol=0)
