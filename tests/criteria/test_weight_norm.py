"""Tests for tfprune.criteria.weight_norm."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfprune import graph as graph_lib
from tfprune import masking
from tfprune import scoring
from tfprune.criteria import base
from tfprune.criteria import weight_norm

# Three filters of two inputs.
FILTERS = tf.constant([[1.0, 0.5, 0.0], [-2.0, 0.5, 3.0]])


@pytest.mark.parametrize(
    "p, expected",
    [
        (1, [3.0, 1.0, 3.0]),
        (2, np.sqrt([5.0, 0.5, 9.0])),
        (0.5, [(1 + np.sqrt(2)) ** 2, 2.0, 3.0]),
    ],
)
def test_norms_by_hand(p, expected):
    criterion = weight_norm.WeightNorm(p)
    tap = base.Tap((), None, None, FILTERS)
    actual = criterion.reduce(criterion.contribution(tap))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_all_kernels_that_write_a_unit_count():
    inputs = keras.Input((2,))
    a = layers.Dense(2, use_bias=False, name="a")
    b = layers.Dense(2, use_bias=False, name="b")
    x = layers.Add()([a(inputs), b(inputs)])
    model = keras.Model(inputs, layers.Dense(1)(x))
    a.kernel.assign([[3.0, 0.0], [0.0, 1.0]])
    b.kernel.assign([[0.0, 0.0], [4.0, -1.0]])
    graph = graph_lib.trace(model)
    masked = masking.mask_model(model, graph)
    data = tf.data.Dataset.from_tensors((tf.ones((1, 2)), tf.ones((1, 1))))
    criteria = {
        "one": weight_norm.WeightNorm(1),
        "two": weight_norm.WeightNorm(2),
    }
    found = scoring.score(masked, graph, criteria, data, squared_error)
    units = graph.layer_units("a")
    np.testing.assert_allclose(found["one"][units], [7.0, 2.0])
    np.testing.assert_allclose(found["two"][units], [5.0, np.sqrt(2.0)])


def squared_error(labels, outputs):
    return tf.reduce_sum((labels - outputs) ** 2, axis=-1)


@pytest.mark.parametrize("p", [0, -1])
def test_order_must_be_positive(p):
    with pytest.raises(ValueError, match=f"positive. Received: p={p}"):
        weight_norm.WeightNorm(p)
