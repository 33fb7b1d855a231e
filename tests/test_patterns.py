"""Tests for tfprune.patterns."""

import keras
import pytest

from tfprune import patterns


def test_patterns_are_found_anywhere_in_the_path():
    layer = keras.layers.Dense(2, name="first")
    layer.build((None, 3))
    assert layer.kernel.path == "first/kernel"
    found = patterns.found(("k.r", "^kernel", "bias", "^first/"), layer.kernel)
    assert found == ["k.r", "^first/"]


@pytest.mark.parametrize(
    "pattern, message",
    [("(gamma", "Received: '.gamma', which is none: missing"), (3, "first arg")],
)
def test_what_is_no_regular_expression_is_refused(pattern, message):
    patterns.check(["bias", "gamma|beta"])
    with pytest.raises(ValueError, match=message):
        patterns.check(["bias", pattern])
