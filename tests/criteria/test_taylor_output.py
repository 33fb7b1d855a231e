"""Tests for tfprune.criteria.taylor_output."""

import types

import numpy as np
import pytest

from tests.criteria import by_hand
from tfprune import rankings
from tfprune.criteria import taylor_output

PAPER = [0.1, 0.075, 0.1], [0.62469501, 0.46852126, 0.62469501]
ABS_FIRST = [0.2, 0.175, 0.2], [0.6013168, 0.5261522, 0.6013168]


@pytest.mark.parametrize(
    "abs_first, expected, normed", [(False, *PAPER), (True, *ABS_FIRST)]
)
def test_by_hand(abs_first, expected, normed):
    found = by_hand.scores(taylor_output.TaylorOutput(abs_first))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    graph = types.SimpleNamespace(
        num_units=3, prunable=np.ones(3, bool), owners=["layer"] * 3
    )
    shares = rankings.layer_ranking(found, graph, np.ones(3, bool))
    np.testing.assert_allclose(shares, normed, rtol=1e-7)
