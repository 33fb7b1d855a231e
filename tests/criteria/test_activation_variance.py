"""Tests for tfprune.criteria.activation_variance."""

import numpy as np
import pytest

from tests.criteria import by_hand
from tfprune.criteria import activation_variance


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_is_that_of_all_outputs(offset):
    batch = by_hand.batch(offset)
    found = activation_variance.ActivationVariance().scores(batch)
    expected = by_hand.OUTPUT.var(axis=(0, 1))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
