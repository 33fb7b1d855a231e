"""Tests for tfprune.averages."""

import numpy as np
import pytest
import tensorflow as tf

from tfprune import averages


def filled(average, *scores):
    for each in scores:
        average.add(tf.constant(each, tf.float32))
    return average


def test_momentum_by_hand():
    average = averages.Average(3, momentum=0.9)
    first = filled(average, [4, 1, 3]).take()
    np.testing.assert_array_equal(first, [4, 1, 3])
    second = filled(average, [1, 5, 2]).take()
    np.testing.assert_allclose(second, [3.7, 1.4, 2.9], rtol=1e-6)
    third = filled(average, [0, 0, 0]).take()
    np.testing.assert_allclose(third, [3.33, 1.26, 2.61], rtol=1e-6)


def test_steps_since_the_last_time_count_alike():
    average = averages.Average(2, momentum=0.5)
    np.testing.assert_allclose(
        filled(average, [1, 2], [3, 4], [5, 0]).take(), [3, 2]
    )
    np.testing.assert_allclose(
        filled(average, [1, 1], [2, 1]).take(), [2.25, 1.5]
    )


def test_without_momentum_nothing_is_left_of_before():
    average = averages.Average(2, momentum=0.0)
    scores = np.array([[0.1, 7e20], [0.3, 1e-20]], "float32")
    for each in scores:
        np.testing.assert_array_equal(filled(average, each).take(), each)


@pytest.mark.parametrize("steps", [1, 3])
def test_state_is_complete(steps):
    rows = np.random.default_rng(0).random((steps + 4, 5)).astype("float32")

    def turned(average):
        first = filled(average, *rows[steps : steps + 2]).take()
        return first, filled(average, *rows[steps + 2 :]).take()

    one, other = (averages.Average(5, momentum=0.7) for _ in range(2))
    filled(one, *rows[:1]).take()
    filled(one, *rows[1:steps])
    for left, right in zip(other.variables, one.variables, strict=True):
        left.assign(right)
    for left, right in zip(turned(one), turned(other), strict=True):
        np.testing.assert_array_equal(left, right)
