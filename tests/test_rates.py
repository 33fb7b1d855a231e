"""Tests for tfprune.rates."""

import keras
import numpy as np
import pytest

from tfprune import rates


def layer(**kwargs):
    made = keras.layers.Dense(2, name="first", **kwargs)
    made.build((None, 3))
    return made


def test_what_was_added_is_multiplied_by_the_last_factor_found():
    made = layer()
    factors = {"first": 3.0, "bias": 0.5, "second": 7.0}
    starts = rates.starts([made.kernel, made.bias], factors)
    assert [factor for _, factor, _ in starts] == [3.0, 0.5]
    before = made.get_weights()
    for variable in (made.kernel, made.bias):
        variable.assign_add(np.full(variable.shape, 0.5))
    rates.scale(starts)
    kernel, bias = made.get_weights()
    np.testing.assert_allclose(kernel, before[0] + 1.5, rtol=1e-6)
    np.testing.assert_allclose(bias, before[1] + 0.25, rtol=1e-6)


def test_variables_without_a_factor_are_left_out():
    made = layer()
    assert rates.starts([made.kernel, made.bias], {"kernel": 1.0}) == []


def test_constraint_holds_after_the_factor():
    made = layer(kernel_constraint="non_neg")
    starts = rates.starts([made.kernel], {"kernel": 5.0})
    made.kernel.assign(0.5 * np.abs(made.kernel) - 0.1)
    rates.scale(starts)
    assert (made.kernel.numpy() >= 0).all()


@pytest.mark.parametrize(
    "factors, message",
    [
        ({"bias": -1.0}, "must be above 0; .* Received: .*{'bias': -1.0}"),
        ({"bias": "2"}, "must be above 0"),
        ({"(bias": 2.0}, "regular expressions. Received: '.bias'"),
    ],
)
def test_factors_out_of_range_are_refused(factors, message):
    with pytest.raises(ValueError, match=message):
        rates.check(factors)
