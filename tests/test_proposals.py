"""Tests for tfprune.proposals."""

import numpy as np
import pytest

from tfprune import proposals

SCORES = {
    "a": np.array([0.1, 0.5, 0.3, 0.2, 0.9]),
    "b": np.array([0.9, 0.1, 0.3, 0.2, 0.5]),
    "c": np.array([0.2, 0.1, 0.9, 0.8, 0.3]),
}


@pytest.mark.parametrize(
    "count, expected",
    [
        (1, [0]),
        (2, [0, 1]),
        (3, [0, 1, 3]),
        (4, [0, 1, 3, 2]),
        (5, [0, 1, 3, 2, 4]),
        (9, [0, 1, 3, 2, 4]),
    ],
)
def test_criteria_propose_in_turn(count, expected):
    found = proposals.round_robin(SCORES, np.ones(5, bool), count)
    assert list(found) == expected


@pytest.mark.parametrize("count, expected", [(3, [0, 3, 2]), (4, [0, 3, 2, 4])])
def test_only_active_units_are_proposed(count, expected):
    active = np.array([True, False, True, True, True])
    assert list(proposals.round_robin(SCORES, active, count)) == expected


def test_who_proposed_is_told():
    found = proposals.round_robin(SCORES, np.ones(5, bool), 4)
    assert found == {0: "a", 1: "b", 3: "a", 2: "a"}


def test_equal_scores_go_by_number():
    scores = {"a": np.zeros(4)}
    assert list(proposals.round_robin(scores, np.ones(4, bool), 2)) == [0, 1]
