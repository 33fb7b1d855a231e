"""Tests for tfprune.criteria.activation_variance."""

import numpy as np

from tests.criteria import by_hand
from tfprune.criteria import activation_variance


def test_is_that_of_all_outputs():
    found = activation_variance.ActivationVariance().scores(by_hand.batch())
    expected = by_hand.OUTPUT.var(axis=(0, 1))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
