"""Tests for tfprune.training."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfprune import gradients
from tfprune import losses
from tfprune import training

INPUTS = np.random.default_rng(0).normal(size=(11, 4)).astype("float32")
LABELS = np.arange(11) % 3

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
    lambda: keras.optimizers.Muon(0.1),
    lambda: keras.optimizers.Nadam(0.1),
    lambda: keras.optimizers.RMSprop(0.1, momentum=0.9, centered=True),
    lambda: keras.optimizers.ScheduleFreeAdamW(0.1),
]


def one_replica():
    return tf.distribute.OneDeviceStrategy("CPU:0")


def two_replicas():
    # Collectives of a second strategy in one process collide with the first's.
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )


def dense(units=3, **kwargs):
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(units, **kwargs)(inputs))


def normalised():
    inputs = keras.Input((4,))
    x = layers.BatchNormalization(momentum=0.5)(layers.Dense(5)(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.ReLU()(x)))


def batches(size, inputs=INPUTS, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(size)


def squared_error(labels, outputs):
    return tf.reduce_sum((labels - outputs) ** 2, axis=-1)


def values(variables):
    return [variable.numpy() for variable in variables]


def assert_all_close(actual, expected, **kwargs):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, **kwargs)


def error_step(kernel, bias, inputs, targets):
    """Returns the mean gradients of `squared_error` of a dense layer."""
    error = 2 * (inputs @ kernel + bias - targets) / len(inputs)
    return inputs.T @ error, error.sum(axis=0)


# One step by hand


def test_momentum_and_coupled_decay_are_those_of_the_papers():
    model = dense(2)
    targets = np.ones((11, 2), "float32")
    trainer = training.Trainer(
        keras.optimizers.SGD(0.1, momentum=0.9),
        weight_decay=0.01,
        exclude_from_weight_decay=("bias",),
    )
    trainer.build(model)
    kernel, bias = model.get_weights()
    velocity = [0.0, 0.0]
    for _ in range(3):
        gradients = error_step(kernel, bias, INPUTS, targets)
        gradients = [gradients[0] + 0.01 * kernel, gradients[1]]
        velocity = [
            0.9 * v + g for v, g in zip(velocity, gradients, strict=True)
        ]
        kernel, bias = kernel - 0.1 * velocity[0], bias - 0.1 * velocity[1]
        trainer.step(model, squared_error, INPUTS, targets)
    assert_all_close(model.get_weights(), [kernel, bias], rtol=1e-5)


def test_gradient_is_clipped_by_its_global_norm_before_the_decay():
    model = dense(2)
    targets = np.ones((11, 2), "float32")
    trainer = training.Trainer(
        keras.optimizers.SGD(1.0), weight_decay=0.5, clip_norm=0.3
    )
    trainer.build(model)
    weights = model.get_weights()
    gradients = error_step(*weights, INPUTS, targets)
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    assert norm > 0.3
    expected = [
        w - (g * 0.3 / norm + 0.5 * w)
        for w, g in zip(weights, gradients, strict=True)
    ]
    trainer.step(model, squared_error, INPUTS, targets)
    assert_all_close(model.get_weights(), expected, rtol=1e-5, atol=1e-7)


def test_step_reports_the_mean_loss():
    model = dense(2)
    targets = np.ones((11, 2), "float32")
    trainer = training.Trainer(keras.optimizers.SGD(0.1))
    trainer.build(model)
    expected = ((targets - model(INPUTS)) ** 2).numpy().sum(axis=1)
    found, update = trainer.step(model, squared_error, INPUTS, targets)
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5)
    np.testing.assert_allclose(update.loss, expected.mean(), rtol=1e-5)
    assert update.finite


def test_losses_of_the_model_count_once_for_each_example():
    model = dense(2, kernel_regularizer=keras.regularizers.L2(0.5))
    targets = np.ones((11, 2), "float32")
    kernel, bias = model.get_weights()
    found = gradients.backward(model, squared_error, INPUTS, targets)
    gradient = error_step(kernel, bias, INPUTS, targets)[0] + kernel
    np.testing.assert_allclose(found.gradients[0] / 11, gradient, rtol=1e-5)
    expected = squared_error(targets, model(INPUTS)) + 0.5 * (kernel**2).sum()
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5)


def test_weight_without_influence_and_embedding_have_a_gradient():
    inputs = keras.Input((1,), dtype="int32")
    x = layers.Flatten()(layers.Embedding(5, 2)(inputs))
    model = keras.Model(inputs, [layers.Dense(3)(x), layers.Dense(3)(x)])
    found = gradients.backward(
        model,
        lambda labels, outputs: losses.CrossEntropy()(labels, outputs[0]),
        tf.constant([[1], [4]]),
        tf.constant([0, 1]),
    )
    embedding, kernel, bias, *unused = found.gradients
    assert embedding.shape == (5, 2)
    assert np.any(embedding[1]) and not np.any(embedding[0])
    assert np.any(kernel) and np.any(bias)
    assert_all_close(unused, [np.zeros((2, 3)), np.zeros(3)])


# Taps


class Tapped(layers.Layer):
    """Passes its input on, and adds it to the taps that are filling."""

    def call(self, inputs):
        for tape, taps in FILLING:
            tape.watch(inputs)
            taps.append((self, inputs))
        return inputs


FILLING = []


@contextlib.contextmanager
def tap(tape):
    FILLING.append((tape, []))
    try:
        yield FILLING[-1][1]
    finally:
        FILLING.pop()


def tapped():
    inputs = keras.Input((4,))
    x = Tapped()(layers.Dense(5, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(2)(x))


def test_tap_gradients_are_of_the_sum_of_the_losses():
    model = tapped()
    _, _, gate, head = model.layers
    targets = np.ones((11, 2), "float32")
    found = gradients.backward(model, squared_error, INPUTS, targets, tap=tap)
    ((layer, hidden),) = found.taps
    assert layer is gate
    kernel, bias = head.get_weights()
    expected = 2 * (hidden @ kernel + bias - targets) @ kernel.T
    np.testing.assert_allclose(
        found.tap_gradients[0], expected, rtol=1e-4, atol=1e-6
    )


def test_tap_without_influence_has_zero_gradient():
    model = tapped()
    found = gradients.backward(
        model,
        lambda labels, outputs: tf.stop_gradient(outputs[:, 0]),
        INPUTS,
        LABELS,
        tap=tap,
    )
    np.testing.assert_array_equal(found.tap_gradients[0], np.zeros((11, 5)))


def test_step_taps_every_replica():
    strategy = two_replicas()
    with strategy.scope():
        model = tapped()
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
                    tap=tap,
                ),
                args=batch,
            )
            return found.taps[0][1], found.tap_gradients[0]

        dataset = batches(4, labels=LABELS % 2)
        distributed = strategy.experimental_distribute_dataset(dataset)
        for results in run(next(iter(distributed))):
            parts = strategy.experimental_local_results(results)
            assert [part.shape for part in parts] == [(2, 5), (2, 5)]


def test_backward_in_inference_mode_leaves_moving_statistics():
    model = normalised()
    before = model.get_weights()
    gradients.backward(
        model, losses.CrossEntropy(), INPUTS, LABELS, training=False
    )
    assert_all_close(model.get_weights(), before, rtol=0)


# Replicas


def trained(strategy, build, optimizer, size, **kwargs):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = build()
        trainer = training.Trainer(optimizer(), **kwargs)
        history = training.fit(
            model, batches(size), losses.CrossEntropy(), trainer, epochs=3
        )
        return model, trainer, history


@pytest.mark.parametrize("size", [4, 5])  # 11 examples end in 1 + 2, or in 1
def test_two_replicas_train_as_one(size):
    options = dict(
        weight_decay=0.1, clip_norm=0.2, exclude_from_weight_decay=["bias"]
    )
    one, two = (
        trained(strategy, dense, OPTIMIZERS[0], size, **options)
        for strategy in (one_replica(), two_replicas())
    )
    for left, right in zip(one[2], two[2], strict=True):
        assert left == pytest.approx(right, rel=1e-5)
    for part in (0, 1):
        assert_all_close(
            values(one[part].variables),
            values(two[part].variables),
            rtol=1e-5,
            atol=1e-6,
        )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_trains_as_in_a_plain_loop(optimizer):
    keras.utils.set_random_seed(0)
    model, plain = dense(), optimizer()
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = losses.CrossEntropy()(LABELS, model(INPUTS))
            loss = tf.reduce_mean(loss)
        variables = model.trainable_variables
        plain.apply(tape.gradient(loss, variables), variables)
    actual, _, _ = trained(two_replicas(), dense, optimizer, 11)
    assert_all_close(
        actual.get_weights(), model.get_weights(), rtol=1e-4, atol=1e-5
    )


def test_moving_statistics_are_equal_on_all_replicas():
    model, _, _ = trained(two_replicas(), normalised, OPTIMIZERS[0], 5)
    for weight in model.weights:
        first, second = weight.value.values
        np.testing.assert_array_equal(first, second)
        assert np.all(np.isfinite(first))


def test_moving_statistics_are_the_mean_over_replicas_by_examples():
    keras.utils.set_random_seed(0)
    with two_replicas().scope():
        model = normalised()
        norm = model.layers[2]
        hidden = INPUTS[:3] @ model.layers[1].kernel.numpy()
        training.fit(
            model,
            batches(3).take(1),
            losses.CrossEntropy(),
            training.Trainer(keras.optimizers.SGD(0.0)),
            steps=1,
        )
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


@pytest.mark.parametrize("strategy", [one_replica, two_replicas])
def test_loss_that_is_not_finite_changes_nothing(strategy):
    inputs = INPUTS.copy()
    inputs[9] = np.nan
    before = []
    with strategy().scope():
        model = normalised()
        trainer = training.Trainer(OPTIMIZERS[0](), weight_decay=0.1)
        training.fit(
            model, batches(4), losses.CrossEntropy(), trainer, epochs=1
        )
        before = values(model.variables + trainer.variables)
        with pytest.raises(
            FloatingPointError, match="loss=nan at step 1, which was not"
        ):
            training.fit(
                model,
                batches(4, inputs[8:], LABELS[8:]),
                losses.CrossEntropy(),
                trainer,
                epochs=1,
            )
    assert_all_close(
        values(model.variables + trainer.variables), before, rtol=0
    )


def test_fit_names_the_step_whose_loss_is_not_finite():
    inputs = INPUTS.copy()
    inputs[9] = np.inf
    model = dense()
    trainer = training.Trainer(keras.optimizers.SGD(0.1))
    with pytest.raises(FloatingPointError, match="at step 3"):
        training.fit(
            model,
            batches(4, inputs),
            losses.CrossEntropy(),
            trainer,
            epochs=1,
        )
    assert trainer.optimizer.iterations == 2
    assert np.all(np.isfinite(model.get_weights()[0]))


def test_gradient_that_is_not_finite_changes_nothing():
    model = dense(2)
    before = model.get_weights()
    trainer = training.Trainer(keras.optimizers.SGD(0.1))
    trainer.build(model)
    _, update = trainer.step(
        model,
        lambda labels, outputs: tf.sqrt(0 * outputs[:, 0]),
        INPUTS,
        LABELS,
    )
    assert update.loss == 0 and not update.finite
    assert_all_close(model.get_weights(), before, rtol=0)


# Slots


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_masked_weights_without_gradient_stay_where_they_are(optimizer):
    model = dense()
    trainer = training.Trainer(optimizer())
    trainer.build(model)
    for _ in range(3):
        trainer.step(model, losses.CrossEntropy(), INPUTS, LABELS)
    kernel, bias = model.trainable_variables
    mask = np.ones((4, 3), "float32")
    mask[1] = 0
    kernel.assign(kernel * mask)
    state = values(trainer.variables)
    trainer.mask_slots([(kernel, mask)])
    for slot, old in zip(trainer.variables, state, strict=True):
        if slot.shape == (4, 3):
            kept = mask.astype(bool)
            np.testing.assert_array_equal(slot.numpy()[kept], old[kept])
            fresh = 0.1 if slot.name.endswith("_accumulator") else 0.0
            np.testing.assert_allclose(slot.numpy()[~kept], fresh)
        else:
            np.testing.assert_array_equal(slot.numpy(), old)
    inputs = INPUTS * mask[:, 0]
    for _ in range(3):
        trainer.step(model, losses.CrossEntropy(), inputs, LABELS)
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
    _, update = trainer.step(model, losses.CrossEntropy(), INPUTS, LABELS)
    momenta = [v for v in trainer.variables if v.name == "same_kernel_momentum"]
    assert update.finite
    assert np.abs(momenta[0]).mean() > 0.5 > np.abs(momenta[1]).mean()


def test_slots_are_masked_on_every_replica():
    with two_replicas().scope():
        model = dense()
        trainer = training.Trainer(OPTIMIZERS[0]())
        training.fit(model, batches(4), losses.CrossEntropy(), trainer, steps=2)
        kernel, bias = model.trainable_variables
        trainer.mask_slots([(kernel, np.zeros((4, 3), "float32"))])
    for replica in trainer.variables[2].value.values:
        np.testing.assert_array_equal(replica, np.zeros((4, 3)))


def test_slots_of_other_shapes_are_refused():
    model = dense()
    trainer = training.Trainer(keras.optimizers.Adafactor(0.1))
    trainer.build(model)
    with pytest.raises(ValueError, match="slot '.*kernel' of shape .* of Adaf"):
        trainer.mask_slots([(model.trainable_variables[0], np.zeros((4, 3)))])


# Distillation


@pytest.mark.parametrize("strategy", [one_replica, two_replicas])
def test_student_learns_from_the_teacher(strategy):
    with strategy().scope():
        teacher, student = dense(), dense()
        before = values(teacher.variables)
        trainer = training.Trainer(
            keras.optimizers.Adam(0.1), distillation=losses.Distillation(1.0)
        )
        history = training.fit(
            student,
            batches(4),
            losses.CrossEntropy(),
            trainer,
            epochs=20,
            teacher=teacher,
        )
    assert history[-1]["loss"] < 0.1 * history[0]["loss"]
    assert_all_close(values(teacher.variables), before, rtol=0)


def test_teacher_runs_in_inference_mode():
    teacher, student = normalised(), dense()
    teacher.layers[2].moving_mean.assign([5.0, 4.0, 3.0, 2.0, 1.0])
    distillation = losses.Distillation(1.0)
    trainer = training.Trainer(
        keras.optimizers.SGD(0.1), distillation=distillation
    )
    trainer.build(student, teacher)
    logits = teacher(INPUTS, training=False)
    expected = distillation(0.0, student(INPUTS), logits)
    found, _ = trainer.step(student, losses.CrossEntropy(), INPUTS, LABELS)
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5)


def test_distillation_needs_a_teacher_and_one_output():
    trainer = training.Trainer(
        keras.optimizers.SGD(0.1), distillation=losses.Distillation()
    )
    with pytest.raises(ValueError, match="needs a teacher. Received: teacher="):
        trainer.build(dense())
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [layers.Dense(3)(inputs), inputs])
    with pytest.raises(ValueError, match="with one output. Received: .* 2"):
        trainer.build(model, teacher=model)


# Arguments of the trainer


@pytest.mark.parametrize(
    "options, message",
    [
        ({"weight_decay": -1.0}, "not be negative. Received: weight_decay=-1"),
        ({"clip_norm": 0.0}, "above 0, or None. Received: clip_norm=0.0"),
        (
            {"exclude_from_weight_decay": "bias"},
            "must be a tuple of strings. .*='bias'",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        training.Trainer(keras.optimizers.SGD(0.1), **options)


def test_two_weight_decays_are_refused():
    with pytest.raises(ValueError, match="one place. .*=0.1 and .*=0.004; set"):
        training.Trainer(keras.optimizers.AdamW(0.1), weight_decay=0.1)


def test_trainer_keeps_to_one_model():
    trainer = training.Trainer(keras.optimizers.SGD(0.1))
    model = dense()
    trainer.build(model)
    trainer.build(model)
    with pytest.raises(ValueError, match="of one model. .*; make a new Train"):
        trainer.build(dense())


# fit


def test_history_has_a_record_for_each_epoch():
    records = []
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [3, 5], [0.3, 0.2, 0.1]
    )
    history = training.fit(
        dense(),
        batches(4),
        losses.CrossEntropy(),
        training.Trainer(keras.optimizers.SGD(schedule)),
        steps=8,
        validation_data=batches(11),
        on_record=records.append,
    )
    assert records == history
    assert [r["epoch"] for r in history] == [1, 2, 3]
    assert [r["step"] for r in history] == [3, 6, 8]
    rates = [r["learning_rate"] for r in history]
    np.testing.assert_allclose(rates, [0.3, 0.1, 0.1])
    assert list(history[0]) == [
        "epoch",
        "step",
        "loss",
        "learning_rate",
        "validation_loss",
        "validation_accuracy",
    ]


def test_infinite_dataset_is_read_for_some_steps():
    (record,) = training.fit(
        dense(),
        batches(4).repeat(),
        losses.CrossEntropy(),
        training.Trainer(keras.optimizers.SGD(0.1)),
        steps=7,
    )
    assert record["step"] == 7


@pytest.mark.parametrize(
    "duration, message",
    [
        ({}, "Exactly one .* Received: epochs=None, steps=None"),
        ({"epochs": 1, "steps": 1}, "Exactly one .* epochs=1, steps=1"),
        ({"epochs": 0}, "1 or more. Received: epochs=0, steps=None"),
        ({"steps": 0}, "1 or more. Received: epochs=None, steps=0"),
        ({"epochs": 1}, "an infinite dataset, epochs=1; give `steps`"),
    ],
)
def test_duration_must_be_clear(duration, message):
    with pytest.raises(ValueError, match=message):
        training.fit(
            dense(),
            batches(4).repeat(),
            losses.CrossEntropy(),
            training.Trainer(keras.optimizers.SGD(0.1)),
            **duration,
        )


def test_dataset_that_can_be_read_once_is_refused():
    once = iter(list(batches(4)))
    dataset = tf.data.Dataset.from_generator(
        lambda: once, output_signature=batches(4).element_spec
    )
    with pytest.raises(ValueError, match="Received: 0 batches in epoch 2"):
        training.fit(
            dense(),
            dataset,
            losses.CrossEntropy(),
            training.Trainer(keras.optimizers.SGD(0.1)),
            steps=7,
        )


@pytest.mark.parametrize(
    "training_labels, validation_labels",
    [(LABELS + 2, LABELS), (LABELS, LABELS + 2)],
)
def test_bad_batch_is_refused_before_training(
    training_labels, validation_labels
):
    model = dense()
    before = model.get_weights()
    with pytest.raises(ValueError, match="Received: labels 3, 4"):
        training.fit(
            model,
            batches(4, labels=training_labels),
            losses.CrossEntropy(),
            training.Trainer(keras.optimizers.SGD(0.1)),
            epochs=1,
            validation_data=batches(4, labels=validation_labels),
        )
    assert_all_close(model.get_weights(), before, rtol=0)


def test_resumed_training_equals_uninterrupted(tmp_path):
    def parts():
        keras.utils.set_random_seed(0)
        trainer = training.Trainer(keras.optimizers.Nadam(0.1))
        model = normalised()
        trainer.build(model)
        state = tf.train.Checkpoint(state=model.variables + trainer.variables)
        return model, trainer, state

    def train(model, trainer):
        training.fit(
            model, batches(4), losses.CrossEntropy(), trainer, epochs=2
        )

    model, trainer, state = parts()
    train(model, trainer)
    path = state.write(str(tmp_path / "state"))
    train(model, trainer)
    expected = values(model.variables)
    model, trainer, state = parts()
    state.read(path).assert_consumed()
    train(model, trainer)
    assert_all_close(values(model.variables), expected, rtol=0)


# evaluate


@pytest.mark.parametrize("strategy", [one_replica, two_replicas])
@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, None], np.eye(3, dtype="float32")[LABELS]]
)
def test_evaluation_is_exact_over_all_examples(strategy, labels):
    with strategy().scope():
        model = normalised()
        measures = training.evaluate(
            model, batches(5, labels=labels), losses.CrossEntropy()
        )
    logits = model(INPUTS, training=False).numpy()
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -log_softmax[np.arange(11), LABELS].mean()
    np.testing.assert_allclose(measures["loss"], expected, rtol=1e-5)
    hits = (logits.argmax(axis=1) == LABELS).mean()
    np.testing.assert_allclose(measures["accuracy"], hits)


def test_model_with_several_outputs_has_no_accuracy():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [layers.Dense(3)(inputs), inputs])
    measures = training.evaluate(
        model, batches(4), lambda labels, outputs: outputs[1][:, 0]
    )
    np.testing.assert_allclose(measures["loss"], INPUTS[:, 0].mean(), rtol=1e-5)
    assert list(measures) == ["loss"]


def test_model_with_one_score_has_no_accuracy():
    measures = training.evaluate(
        dense(1), batches(4), lambda labels, outputs: outputs[:, 0]
    )
    assert list(measures) == ["loss"]


def test_empty_dataset_cannot_be_evaluated():
    with pytest.raises(ValueError, match="not be empty. Received: 0 batches"):
        training.evaluate(dense(), batches(4).take(0), losses.CrossEntropy())
