"""Tests for tfprune.curves."""

import numpy as np
import pytest

from tfprune import curves


def curve(sparsity, accuracy):
    return curves.Curve(np.array(sparsity, float), np.array(accuracy, float))


@pytest.mark.parametrize(
    "accuracy, expected",
    [
        # From .8 at 10 % to .6 at 20 %, .75 is a quarter of the way.
        ([0.8, 0.8, 0.6, 0.2], 12.5),
        ([0.8, 0.7, 0.9, 0.2], 5.0),  # The first time counts.
        ([0.8, 0.8, 0.8, 0.76], None),
        ([0.8, 0.8, 0.75, 0.7], 20.0),
        ([0.7, 0.8, 0.8, 0.1], 0.0),
    ],
)
def test_first_crossing_by_hand(accuracy, expected):
    found = curves.crossing(curve([0, 10, 20, 30], accuracy), 0.75)
    assert found == (None if expected is None else pytest.approx(expected))


def test_band_by_hand():
    one = curve([0, 2, 4], [0.8, 0.6, 0.2])
    two = curve([0, 1, 3], [0.8, 0.8, 0.4])
    found = curves.band([one, two])
    np.testing.assert_array_equal(found.sparsity, [0, 1, 2, 3])
    np.testing.assert_allclose(found.mean, [0.8, 0.75, 0.6, 0.4])
    np.testing.assert_allclose(found.deviation, [0, 0.05, 0, 0], atol=1e-12)


def test_band_of_one_curve_is_the_curve():
    found = curves.band([curve([0, 100], [1.0, 0.0])])
    np.testing.assert_allclose(found.mean, np.linspace(1, 0, 101))
    assert not found.deviation.any()
