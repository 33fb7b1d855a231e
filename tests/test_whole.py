"""Tests for tfprune.whole."""

import numpy as np
import pytest
import tensorflow as tf

from tests import odd
from tests import zoo
from tfprune import program
from tfprune import tracing
from tfprune import whole as whole_lib


def whole_of(model, *inputs):
    graph = tracing.trace(model)
    return whole_lib.Whole(program.program(model), graph, list(inputs), {})


def test_losses_are_those_of_the_model():
    model = zoo.network("residual_identity")
    images = tf.random.stateless_normal((3, 8, 8, 3), (0, 1))
    whole = whole_of(model, images)
    labels = tf.constant([0.0, 1.0, 2.0])

    def loss(labels, outputs):
        return labels + outputs[:, 0]

    expected = loss(labels, model(images))
    np.testing.assert_allclose(whole.losses(loss, labels), expected, rtol=1e-5)
    (output,) = whole.outputs
    given = {id(output): tf.ones([3, 3])}
    np.testing.assert_allclose(whole.losses(loss, labels, given), [1, 2, 3])


def test_call_can_be_repeated_though_keras_forgot_its_masks():
    words = tf.constant([[0, 1, 2, 3, 0, 4, 1], [1, 2, 0, 0, 0, 0, 0]])
    whole = whole_of(odd.built("attention_to_words"), words)
    for call in whole.calls:
        (again,) = whole.call(call, {})
        np.testing.assert_allclose(again, whole.value(call.outputs[0]))
    attention = whole.calls[2]
    for mask in whole.masks(attention):
        np.testing.assert_array_equal(mask, words != 0)


@pytest.mark.parametrize("name", ["plain", "permuted", "dense_concat"])
def test_units_that_pass_are_those_of_the_node(name):
    model = zoo.network(name)
    images = tf.random.stateless_normal((1, 8, 8, 3), (0, 1))
    whole = whole_of(model, images)
    nodes = {node.path: node for node in tracing.trace(model).nodes}
    passed = [whole.passed(call) for call in whole.calls]
    assert any(units is not None for units in passed)
    for call, units in zip(whole.calls, passed):
        if units is not None:
            assert not getattr(call.layer, "kernel", ())
            np.testing.assert_array_equal(units, nodes[call.path].outputs)
