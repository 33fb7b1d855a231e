"""Tests for tfprune.criteria.fisher."""

import numpy as np

from tests.criteria import by_hand
from tfprune.criteria import fisher


def test_by_hand():
    # Of the mean loss: (.3 ** 2 + .1 ** 2) / 4, .3 ** 2 / 4, .4 ** 2 / 4.
    found = by_hand.scores(fisher.Fisher())
    np.testing.assert_allclose(found, [0.025, 0.0225, 0.04], rtol=1e-12)
