"""Tests for tfprune.evaluation."""

import keras
from keras import layers
import numpy as np
import pytest

from tests import strategies
from tests import vectors
from tfprune import evaluation
from tfprune import losses


@pytest.mark.parametrize(
    "strategy", [strategies.one_replica, strategies.two_replicas]
)
@pytest.mark.parametrize(
    "labels",
    [
        vectors.LABELS,
        vectors.LABELS[:, None],
        np.eye(3, dtype="float32")[vectors.LABELS],
    ],
)
def test_evaluation_is_exact_over_all_examples(strategy, labels):
    with strategy().scope():
        model = vectors.normalised()
        measures = evaluation.evaluate(
            model, vectors.batches(5, labels=labels), losses.CrossEntropy()
        )
    logits = model(vectors.INPUTS, training=False).numpy()
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -log_softmax[np.arange(11), vectors.LABELS].mean()
    np.testing.assert_allclose(measures["loss"], expected, rtol=1e-5)
    hits = (logits.argmax(axis=1) == vectors.LABELS).mean()
    np.testing.assert_allclose(measures["accuracy"], hits)


def test_accuracy_can_be_asked_for():
    model, loss_fn = vectors.normalised(), losses.CrossEntropy()
    measures = evaluation.evaluate(model, vectors.batches(4), loss_fn)
    asked = evaluation.with_accuracy(model, vectors.batches(4), loss_fn)
    assert asked == measures and "accuracy" in asked
    model = keras.Model(model.inputs, [*model.outputs, *model.inputs])
    with pytest.raises(ValueError, match="must have one output, .* no accuracy"):
        evaluation.with_accuracy(
            model, vectors.batches(4), lambda labels, outputs: outputs[1][:, 0]
        )


def test_model_with_several_outputs_has_no_accuracy():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [layers.Dense(3)(inputs), inputs])
    measures = evaluation.evaluate(
        model, vectors.batches(4), lambda labels, outputs: outputs[1][:, 0]
    )
    np.testing.assert_allclose(
        measures["loss"], vectors.INPUTS[:, 0].mean(), rtol=1e-5
    )
    assert list(measures) == ["loss"]


def test_model_with_one_score_has_no_accuracy():
    measures = evaluation.evaluate(
        vectors.dense(1),
        vectors.batches(4),
        lambda labels, outputs: outputs[:, 0],
    )
    assert list(measures) == ["loss"]


@pytest.mark.parametrize(
    "strategy", [strategies.one_replica, strategies.two_replicas]
)
@pytest.mark.parametrize(
    "labels",
    [
        np.where(np.arange(11) == 10, 0.5, vectors.LABELS),
        np.where(np.arange(11) == 10, 5.0, vectors.LABELS)[:, None],
        vectors.INPUTS[:, :3],
        np.tile([1, 0, 1], (11, 1)),
    ],
)
def test_labels_that_are_no_classes_have_no_accuracy(strategy, labels):
    with strategy().scope():
        measures = evaluation.evaluate(
            vectors.dense(),
            vectors.batches(4, labels=labels.astype("float32")),
            lambda labels, outputs: outputs[:, 0],
        )
    assert list(measures) == ["loss"]


def test_empty_dataset_cannot_be_evaluated():
    with pytest.raises(ValueError, match="not be empty. Received: 0 batches"):
        evaluation.evaluate(
            vectors.dense(), vectors.batches(4).take(0), losses.CrossEntropy()
        )
