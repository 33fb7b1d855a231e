"""Tests for tfprune.losses."""

import numpy as np
import pytest
import tensorflow as tf

from tfprune import losses

LOGITS = tf.math.log([[1.0, 1.0, 2.0], [6.0, 3.0, 1.0]])


@pytest.mark.parametrize(
    "labels",
    [[2, 1], [[2], [1]], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]],
)
def test_cross_entropy_is_minus_the_log_of_the_probability(labels):
    actual = losses.CrossEntropy()(tf.constant(labels), LOGITS)
    np.testing.assert_allclose(actual, -np.log([0.5, 0.3]), rtol=1e-6)


@pytest.mark.parametrize(
    "labels",
    [[2, 1], [[2], [1]], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]],
)
def test_smoothing_spreads_the_label_over_the_classes(labels):
    actual = losses.CrossEntropy(0.3)(tf.constant(labels), LOGITS)
    # 0.7 on the label and 0.1 on each of the 3 classes
    expected = [
        -(0.1 * np.log(0.25) + 0.1 * np.log(0.25) + 0.8 * np.log(0.5)),
        -(0.1 * np.log(0.6) + 0.8 * np.log(0.3) + 0.1 * np.log(0.1)),
    ]
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_label_outside_the_classes_is_refused(smoothing):
    with pytest.raises(tf.errors.InvalidArgumentError, match="value of 3"):
        losses.CrossEntropy(smoothing)(tf.constant([0, 3]), LOGITS)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_is_a_fraction(smoothing):
    with pytest.raises(ValueError, match=rf"\[0, 1\). .*smoothing={smoothing}"):
        losses.CrossEntropy(smoothing)


def test_distillation_adds_the_divergence_of_softened_outputs():
    teacher = tf.math.log([[16.0, 1.0], [1.0, 1.0]])
    student = tf.math.log([[1.0, 1.0], [9.0, 1.0]])
    actual = losses.Distillation(0.25, 2.0)(
        tf.constant([1.0, 2.0]), student, teacher
    )
    # At temperature 2 odds of 16 to 1 become 4 to 1, and 9 to 1, 3 to 1.
    divergence = [
        0.8 * np.log(0.8 / 0.5) + 0.2 * np.log(0.2 / 0.5),
        0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25),
    ]
    expected = 0.75 * np.array([1.0, 2.0]) + 0.25 * 4 * np.array(divergence)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"weight": 1.5}, r"in \[0, 1\]. Received: weight=1.5"),
        ({"temperature": 0.0}, "above 0. Received: temperature=0.0"),
    ],
)
def test_distillation_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        losses.Distillation(**options)


@pytest.mark.parametrize(
    "labels, outputs, expected",
    [
        ((4,), (4, 3), True),
        ((4, 1), (4, 3), True),
        ((4, 3), (4, 3), True),
        ((4, 2), (4, 3), False),
        ((4,), (4, 1), False),
        ((4, 1), (4, 1), False),
        ((4, 5), (4, 5, 3), False),
    ],
)
def test_labels_may_be_classes_of_a_table_of_scores(labels, outputs, expected):
    labels, outputs = tf.zeros(labels), tf.zeros(outputs)
    assert losses.may_be_classes(labels, outputs) is expected
    assert not losses.may_be_classes(labels, [outputs] * 2)


@pytest.mark.parametrize(
    "labels",
    [
        [2, 0],
        [[2], [0]],
        [2.0, 0.0],
        [[0, 0, 1], [1, 0, 0]],
        [[0.1, 0.2, 0.7], [1.0, 0.0, 0.0]],
    ],
)
def test_classes_by_number_and_by_distribution(labels):
    numbers, known = losses.classes(tf.constant(labels), LOGITS)
    np.testing.assert_array_equal(numbers, [2, 0])
    assert np.all(known)


@pytest.mark.parametrize(
    "labels, expected",
    [
        ([2.0, 0.5], [True, False]),
        ([[-1.0], [0.0]], [False, True]),
        ([3.0, np.nan], [False, False]),
        ([[0, 1, 1], [0, 1, 0]], [False, True]),
        ([[-0.5, 0.5, 1.0], [0.2, 0.2, 0.2]], [False, False]),
        ([3, -1], [True, True]),
    ],
)
def test_labels_that_are_no_classes(labels, expected):
    _, known = losses.classes(tf.constant(labels), LOGITS)
    np.testing.assert_array_equal(known, expected)
