"""Tests for tfprune.criteria.taylor."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import odd
from tests import zoo
from tfprune import gradients
from tfprune import masking
from tfprune import program
from tfprune import scoring
from tfprune import tracing
from tfprune import verification
from tfprune.criteria import base
from tfprune.criteria import taylor
from tfprune.layers import channel_mask

# Two examples, one row of two positions, three channels. The gradients are
# those of the sum of the losses, twice those of their mean.
OUTPUT = np.transpose(
    [[[1, 2], [0, 3], [-1, 1]], [[2, -1], [1, 1], [0, 4]]], (0, 2, 1)
)
GRADIENT = 2 * np.transpose(
    [
        [[0.1, -0.2], [0.3, 0.1], [0.2, 0.2]],
        [[0.1, 0.1], [-0.2, 0.2], [0.5, -0.1]],
    ],
    (0, 2, 1),
)


def scores(criterion):
    tap = base.Tap((), tf.constant(OUTPUT, "float64"), tf.constant(GRADIENT))
    return criterion.reduce(criterion.contribution(tap))


def test_contributions_by_hand():
    tap = base.Tap((), tf.constant(OUTPUT, "float64"), tf.constant(GRADIENT))
    np.testing.assert_allclose(
        taylor.TaylorFO().contribution(tap),
        2 * np.array([[-0.3, 0.3, 0.0], [0.1, 0.0, -0.4]]),
        atol=1e-12,
    )


def test_sum_then_square():
    # The gate gradients are -.2, .3 and -.4.
    actual = scores(taylor.TaylorFO())
    np.testing.assert_allclose(actual, [0.04, 0.09, 0.16], rtol=1e-12)


def test_square_of_every_example_then_sum():
    # .3 ** 2 + .1 ** 2, .3 ** 2 and .4 ** 2.
    actual = scores(taylor.TaylorFO(per_example=True))
    np.testing.assert_allclose(actual, [0.1, 0.09, 0.16], rtol=1e-12)


def test_dense_outputs_have_no_positions():
    tap = base.Tap((), tf.ones((4, 3)), 2.0 * tf.ones((4, 3)))
    contribution = taylor.TaylorFO().contribution(tap)
    np.testing.assert_array_equal(contribution, 2 * np.ones((4, 3)))


def smooth_loss(labels, outputs):
    outputs = keras.tree.flatten(outputs)
    return tf.add_n(
        [tf.reduce_sum(tf.tanh(x / 8), range(1, x.shape.rank)) for x in outputs]
    ) + tf.cast(labels, "float32")


def contributions(scorer, masked, inputs, labels):
    found = gradients.backward(
        masked,
        smooth_loss,
        inputs,
        labels,
        tap=channel_mask.tapped,
        training=False,
    )
    return scorer.contributions(found, inputs, labels)["TaylorFO"]


@pytest.mark.parametrize(
    "name",
    [
        "constants",
        "dense_concat",
        "grouped",
        "nested",
        "residual_padded",
        "shared_layer",
        "siamese",
        "squeeze_and_excite",
        "two_inputs",
        "vision_transformer",
    ],
)
def test_gate_gradient_is_the_slope_of_the_loss_along_the_masks(name):
    model = (zoo.NETWORKS | odd.MODELS)[name]()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        positive = "variance" in weight.path
        low, scale = (0.5, 1.0) if positive else (-0.5, 1.0)
        weight.assign(low + scale * rng.random(weight.shape))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    inputs = verification.random_inputs(model, batch_size=3)
    labels = tf.zeros(3)
    scorer = scoring.Scorer(masked, graph, taylor.TaylorFO(), smooth_loss)
    parts = contributions(scorer, masked, inputs, labels)
    actual = tf.reduce_sum(parts, axis=0).numpy()

    layers = program.layers_by_path(masked)
    gates = [
        (layers[path].mask, gate.units)
        for path, gate in graph.gates.items()
    ]
    loss = tf.function(
        lambda: tf.reduce_sum(smooth_loss(labels, masked(inputs)))
    )

    def loss_at(unit, value):
        for mask, units in gates:
            mask.assign(np.where(units == unit, value, 1.0))
        return float(loss())

    step = 1e-2
    prunable = np.flatnonzero(graph.prunable)
    expected = [
        (loss_at(unit, 1 + step) - loss_at(unit, 1 - step)) / (2 * step)
        for unit in prunable
    ]
    size = np.abs(expected).max()
    assert size > 1e-3
    np.testing.assert_allclose(
        actual[prunable], expected, rtol=0.02, atol=5e-3 * size
    )


def test_one_example_at_a_time_gives_the_same_contributions():
    model = zoo.network("residual_identity")
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    inputs = verification.random_inputs(model, batch_size=3)
    scorer = scoring.Scorer(masked, graph, taylor.TaylorFO(), smooth_loss)
    whole = contributions(scorer, masked, inputs, tf.zeros(3))
    single = [
        contributions(scorer, masked, inputs[i : i + 1], tf.zeros(1))
        for i in range(3)
    ]
    np.testing.assert_allclose(
        whole, np.concatenate(single), rtol=1e-3, atol=1e-5
    )
