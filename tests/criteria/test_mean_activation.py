"""Tests for tfprune.criteria.mean_activation."""

import numpy as np

from tests.criteria import by_hand
from tfprune.criteria import mean_activation


def test_by_hand():
    # (1 + 2 + 2 + 1) / 4, (0 + 3 + 1 + 1) / 4, (1 + 1 + 0 + 4) / 4.
    found = by_hand.scores(mean_activation.MeanActivation())
    np.testing.assert_allclose(found, [1.5, 1.25, 1.5], rtol=1e-12)
