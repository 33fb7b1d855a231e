"""Tests for tfprune.checks."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests import strategies
from tests import versions
from tfprune import checks
from tfprune import losses

IMAGES = np.zeros((5, 8, 8, 3), "float32")
LABELS = np.arange(5) % 3
CROSS_ENTROPY = losses.CrossEntropy()


def classifier():
    inputs = keras.Input((None, 8, 3))
    x = layers.GlobalAveragePooling2D()(inputs)
    return keras.Model(inputs, layers.Dense(3)(x))


def batches(images=IMAGES, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(5)


def check(dataset, loss_fn=CROSS_ENTROPY):
    checks.check_batch(classifier(), dataset, loss_fn)


@pytest.mark.parametrize(
    "labels", [LABELS, LABELS[:, None], np.eye(3, dtype="float32")[LABELS]]
)
def test_good_batch_passes(labels):
    check(batches(labels=labels))


def test_good_batch_passes_under_a_strategy():
    with strategies.two_replicas().scope():
        check(batches())


@versions.needs_keras("3.14")
def test_several_inputs_and_outputs_pass():
    left, right = keras.Input((4,)), keras.Input((2,))
    model = keras.Model([left, right], [layers.Dense(3)(left), right])
    inputs = (np.zeros((5, 4), "float32"), np.zeros((5, 2), "float32"))
    dataset = tf.data.Dataset.from_tensors((inputs, LABELS))
    checks.check_batch(model, dataset, lambda labels, outputs: outputs[0][:, 0])


def test_dict_of_inputs_is_taken_by_name():
    left, right = keras.Input((4,), name="z"), keras.Input((2,), name="a")
    x = layers.Concatenate()([left, right])
    model = keras.Model([left, right], layers.Dense(3)(x))
    inputs = {"z": np.zeros((5, 4), "float32"), "a": np.zeros((5, 2))}
    dataset = tf.data.Dataset.from_tensors((inputs, LABELS))
    checks.check_batch(model, dataset, CROSS_ENTROPY)
    dataset = tf.data.Dataset.from_tensors(({"z": inputs["z"]}, LABELS))
    with pytest.raises(ValueError, match=r"\['z', 'a'\]. Received: \['z'\]"):
        checks.check_batch(model, dataset, CROSS_ENTROPY)


@pytest.mark.parametrize("shape", [(5, 8, 9, 3), (5, 8, 8, 1), (8, 8, 3)])
def test_inputs_of_another_shape_are_refused(shape):
    dataset = tf.data.Dataset.from_tensors((np.zeros(shape), LABELS))
    with pytest.raises(ValueError) as error:
        check(dataset)
    assert str(error.value) == (
        "The dataset must yield batches of the model's inputs, "
        "(None, None, 8, 3). "
        f"Received: inputs of shape {shape}."
    )


def test_labels_outside_the_classes_are_named():
    with pytest.raises(
        ValueError, match="from 0 to 2, for 3 classes. Received: labels 3, 7; c"
    ):
        check(batches(labels=np.array([0, 7, 3, 7, 1])))
    with pytest.raises(ValueError, match="Received: labels -1; cast"):
        check(batches(labels=np.array([0, 1, -1, 1, 1])[:, None]))


def test_regression_of_several_outputs_passes():
    def negative_log_likelihood(labels, outputs):
        mean, log_variance, _ = tf.unstack(outputs, axis=1)
        error = (labels[:, 0] - mean) ** 2
        return log_variance + error / tf.exp(log_variance)

    for targets in ([0.5, -3.0, 7.25, 12.0, 1.0], [34.0, 57, 21, 8, 60]):
        labels = np.array(targets, "float32")[:, None]
        check(batches(labels=labels), negative_log_likelihood)


@pytest.mark.parametrize(
    "dataset",
    [
        tf.data.Dataset.from_tensors(IMAGES),
        tf.data.Dataset.from_tensors((IMAGES, LABELS, LABELS)),
        tf.data.Dataset.from_tensors({"image": IMAGES, "label": LABELS}),
        [(IMAGES, LABELS)],
    ],
)
def test_dataset_must_yield_inputs_and_labels(dataset):
    with pytest.raises(ValueError, match=r"yields \(inputs, labels\). Rec"):
        check(dataset)


def test_tensors_of_unknown_rank_are_refused():
    def without_rank(image, label):
        return tf.py_function(lambda x: x, [image], tf.float32), label

    with pytest.raises(ValueError, match="how many axes.*`tf.ensure_shape`"):
        check(batches().map(without_rank))


def test_empty_dataset_is_refused():
    with pytest.raises(ValueError, match="not be empty. Received: 0 batches"):
        check(batches().take(0))


@pytest.mark.parametrize(
    "loss_fn, shape",
    [
        (
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            r"\(\)",
        ),
        (lambda labels, outputs: outputs, r"\(5, 3\)"),
        (lambda labels, outputs: 0.0, r"\(\)"),
    ],
)
def test_loss_must_be_one_number_for_each_example(loss_fn, shape):
    with pytest.raises(
        ValueError,
        match=rf"each example, \[5\]. .* shape {shape}; .*`reduction=None`",
    ):
        check(batches(), loss_fn)


def test_keras_loss_without_reduction_passes():
    loss_fn = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction=None
    )
    check(batches(), loss_fn)


@pytest.mark.parametrize(
    "value", [0, -1, 2.0, "3", True, None, np.int64(0), np.float32(2)]
)
def test_counts_are_positive_ints(value):
    checks.check_counts(good=1, better=2)
    with pytest.raises(
        ValueError, match=re.escape(f"at least 1. Received: bad={value!r}.")
    ):
        checks.check_counts(good=np.int64(1), bad=value)


def test_optimizer_must_be_one_of_keras():
    with pytest.raises(ValueError, match="Optimizer. Received: .*='sgd'"):
        checks.check_optimizer("sgd")


@pytest.mark.parametrize(
    "wrapper",
    [
        keras.optimizers.LossScaleOptimizer,
        pytest.param(
            lambda inner: keras.optimizers.MultiOptimizer(
                keras.optimizers.OptimizerMap(inner)
            ),
            marks=pytest.mark.skipif(
                not hasattr(keras.optimizers, "MultiOptimizer"),
                reason="This Keras has none.",
            ),
        ),
    ],
)
def test_optimizer_must_not_wrap_another(wrapper):
    with pytest.raises(ValueError, match="not wrap .* Received: .*Optimizer;"):
        checks.check_optimizer(wrapper(keras.optimizers.SGD(0.1)))


@pytest.mark.parametrize(
    "options",
    [
        {"clipnorm": 1.0},
        {"clipvalue": 1.0},
        {"global_clipnorm": 1.0},
        {"gradient_accumulation_steps": 2},
        {"loss_scale_factor": 2.0},
        {"use_ema": True},
    ],
)
def test_optimizer_must_apply_its_rule_only(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"only. Received: {name}={value};"):
        checks.check_optimizer(keras.optimizers.SGD(0.1, **options))


def test_optimizer_with_a_schedule_passes():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    checks.check_optimizer(keras.optimizers.AdamW(schedule))
