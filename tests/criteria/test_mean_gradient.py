"""Tests for tfprune.criteria.mean_gradient."""

import numpy as np

from tests.criteria import by_hand
from tfprune.criteria import mean_gradient


def test_by_hand():
    # (|-.1| + .2) / 4, (.4 + 0) / 4, (.4 + .4) / 4, of the mean loss.
    found = by_hand.scores(mean_gradient.MeanGradient())
    np.testing.assert_allclose(found, [0.075, 0.1, 0.2], rtol=1e-12)
