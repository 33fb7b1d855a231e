"""Tests for tfprune.criteria.apoz."""

import numpy as np

from tests.criteria import by_hand
from tfprune.criteria import apoz


def test_share_that_is_not_zero_by_hand():
    # Of four outputs each: none, one and one are zero.
    found = by_hand.scores(apoz.APoZ())
    np.testing.assert_allclose(found, [1.0, 0.75, 0.75])
