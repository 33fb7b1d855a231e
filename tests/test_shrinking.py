"""Tests for the architectures of tests.architectures and tests.shrinking."""

import numpy as np
import pytest

from tests import architectures
from tests import shrinking
from tests.kinds import base
from tfprune import verification

STEP = architectures.Step


def test_a_seed_has_one_model():
    one, two = (architectures.build(architectures.drawn(3)) for _ in range(2))
    inputs = verification.random_inputs(one)
    np.testing.assert_array_equal(one(inputs), two(inputs))


def test_any_step_can_be_left_out():
    steps = architectures.drawn(3)
    for place in range(len(steps)):
        architectures.build(steps[:place] + steps[place + 1 :])


def test_kinds_are_drawn_alike():
    drawn = {step.kind for n in range(150) for step in architectures.drawn(n)}
    assert drawn == base.KINDS.keys()


def prove_no_wide_dense_after_relu(steps):
    kinds = [step.kind for step in steps]
    if "relu" not in kinds:
        raise ValueError("No relu.")
    after = steps[kinds.index("relu") :]
    assert not any(step.settings.get("units", 0) > 4 for step in after)


def test_a_failing_architecture_is_made_minimal():
    wide = {"units": 6, "activation": "softplus", "use_bias": True}
    steps = [
        STEP("dropout", (2,)),
        STEP("relu", (1,)),
        STEP("add", (0, 3)),
        STEP("dense", (2,), wide),
        STEP("relu", (2,)),
    ]
    expected = [
        STEP("relu", (0,)),
        STEP("dense", (0,), wide | {"activation": "linear", "use_bias": False}),
    ]
    with pytest.raises(AssertionError) as caught:
        shrinking.check(steps, prove_no_wide_dense_after_relu)
    assert str(caught.value).startswith(shrinking.shown(expected))


def test_an_architecture_that_holds_is_left_alone():
    shrinking.check([STEP("relu", (0,))], prove_no_wide_dense_after_relu)
