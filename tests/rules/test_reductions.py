"""Tests for tfprune.rules.reductions."""

import keras
import pytest
from keras import layers
from keras import ops

from tfprune import rules
from tfprune import tracing


def reduced(function):
    """Returns the graph of a function of a convolution, and its node."""
    inputs = keras.Input((2, 2, 1))
    x = layers.Flatten()(function(layers.Conv2D(4, 1)(inputs)))
    graph = tracing.trace(keras.Model(inputs, layers.Dense(1)(x)))
    return graph, graph.nodes[1]


@pytest.mark.parametrize(
    "function, leaks",
    [
        (lambda x: ops.max(x, (1, 2)), False),
        (lambda x: ops.max(x, (1, 2), initial=0.5), True),
        (lambda x: ops.max(x, (1, 2), initial=-0.5), False),
        (lambda x: ops.min(x, (1, 2), initial=-0.5), True),
        (lambda x: ops.prod(x, (1, 2)), False),
        (lambda x: ops.std(x, (1, 2)), False),
        (lambda x: ops.var(x, (1, 2)), False),
        (lambda x: ops.logsumexp(x, (1, 2)), True),
        (layers.GlobalAveragePooling2D(), False),
    ],
)
def test_reductions_leak_what_they_make_of_zeros(function, leaks):
    graph, node = reduced(function)
    assert node.outputs[0].tolist() == [1, 2, 3, 4]
    assert graph.prunable[1:5].all()
    assert rules.rule_for(node.layer).leaks(node) == leaks
