"""Tests for tfprune.schedules."""

import os
import subprocess
import sys

import pytest

from tfprune import schedules

CHECK = """
import os
before = os.environ.get("TF_USE_LEGACY_KERAS")
from tfprune import schedules
assert os.environ.get("TF_USE_LEGACY_KERAS") == before, os.environ
import tensorflow as tf, keras
assert tf.keras.Model is keras.Model, tf.keras.Model
assert tf.keras.__version__.startswith("3"), tf.keras.__version__
"""


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, "0"])
def test_import_leaves_keras_and_the_environment_alone(before):
    environment = dict(os.environ)
    environment.pop("TF_USE_LEGACY_KERAS", None)
    if before is not None:
        environment["TF_USE_LEGACY_KERAS"] = before
    result = subprocess.run(
        [sys.executable, "-c", CHECK],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_polynomial_decay_by_hand():
    schedule = schedules.PolynomialDecay(0.0, 0.8, 0, 100, frequency=10)
    # 0.8 * (1 - (1 - step / 100) ** 3)
    for step, expected in [(0, 0.0), (50, 0.7), (100, 0.8), (200, 0.8)]:
        prune, sparsity = schedule(step)
        assert float(sparsity) == pytest.approx(expected)
        assert bool(prune) == (step <= 100)


def test_constant_sparsity():
    schedule = schedules.ConstantSparsity(0.5, 10, 20, frequency=5)
    found = [(bool(schedule(i)[0]), float(schedule(i)[1])) for i in (9, 10, 11)]
    assert found == [(False, 0.5), (True, 0.5), (False, 0.5)]


def test_user_may_subclass():
    class Half(schedules.PruningSchedule):
        def __call__(self, step):
            return True, 0.5

        def get_config(self):
            return {}

    assert Half()(3) == (True, 0.5)


def test_check_refuses_what_is_higher_before_the_end():
    schedules.check(schedules.PolynomialDecay(0.5, 0.9, 0, 4, frequency=1), 4)
    sinking = schedules.PolynomialDecay(0.9, 0.5, 0, 4, power=1, frequency=1)
    with pytest.raises(ValueError, match="stays gone. Received: 0.8.* step 4"):
        schedules.check(sinking, 4)
