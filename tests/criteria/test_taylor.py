"""Tests for tfprune.criteria.taylor."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import odd
from tests import zoo
from tests.criteria import by_hand
from tfprune import gates
from tfprune import gradients
from tfprune import masking
from tfprune import program
from tfprune import reading
from tfprune import scoring
from tfprune import tracing
from tfprune import verification
from tfprune.criteria import taylor
from tfprune.layers import channel_mask

def test_contributions_by_hand():
    tap = by_hand.tap()
    np.testing.assert_allclose(
        taylor.TaylorFO().contribution(tap),
        2 * np.array([[-0.3, 0.3, 0.0], [0.1, 0.0, -0.4]]),
        atol=1e-12,
    )


def test_sum_then_square():
    # The gate gradients are -.2, .3 and -.4.
    actual = by_hand.scores(taylor.TaylorFO())
    np.testing.assert_allclose(actual, [0.04, 0.09, 0.16], rtol=1e-12)


def test_square_of_every_example_then_sum():
    # .3 ** 2 + .1 ** 2, .3 ** 2 and .4 ** 2.
    actual = by_hand.scores(taylor.TaylorFO(per_example=True))
    np.testing.assert_allclose(actual, [0.1, 0.09, 0.16], rtol=1e-12)


def test_dense_outputs_have_no_positions():
    tap = reading.Tap((), tf.ones((4, 3)), 2.0 * tf.ones((4, 3)))
    contribution = taylor.TaylorFO().contribution(tap)
    np.testing.assert_array_equal(contribution, 2 * np.ones((4, 3)))


def smooth_loss(labels, outputs):
    outputs = keras.tree.flatten(outputs)
    return tf.add_n(
        [tf.reduce_sum(tf.tanh(x / 8), range(1, x.shape.rank)) for x in outputs]
    ) + tf.cast(labels, "float32")


def contributions(graph, masked, inputs, labels):
    found = gradients.backward(
        masked,
        smooth_loss,
        inputs,
        labels,
        tap=channel_mask.tapped,
        training=False,
    )
    batch = reading.Reader(masked, graph, smooth_loss).read(found, inputs, labels)
    return taylor.TaylorFO(row_power=0).contributions(batch)


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
    parts = contributions(graph, masked, inputs, labels)
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
    whole = contributions(graph, masked, inputs, tf.zeros(3))
    single = [
        contributions(graph, masked, inputs[i : i + 1], tf.zeros(1))
        for i in range(3)
    ]
    np.testing.assert_allclose(
        whole, np.concatenate(single), rtol=1e-3, atol=1e-5
    )


def three_in_a_row():
    """Returns a net whose loss is half of `(x g ** 3) ** 2`, and its graph."""
    inputs = keras.Input((1, 1, 2))
    conv = keras.layers.Conv2D(2, 1, use_bias=False, name="conv")
    x = conv(inputs)
    for _ in range(2):
        depthwise = keras.layers.DepthwiseConv2D(1, name=f"row{_}")
        x = depthwise(x)
        depthwise.kernel.assign(tf.ones_like(depthwise.kernel))
    x = keras.layers.Flatten()(x)
    last = keras.layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, last(x))
    conv.kernel.assign(np.eye(2)[None, None])
    last.kernel.assign(np.eye(2))
    return model, tracing.trace(model)


@pytest.mark.parametrize(
    "power, expected", [(0, [9, 144]), (0.5, [3, 48]), (1, [1, 16])]
)
def test_gates_in_a_row_count_as_one(power, expected):
    model, graph = three_in_a_row()
    masked = masking.mask_model(model, graph)
    data = tf.data.Dataset.from_tensors((np.array([[[[1.0, 2.0]]]]), [0]))
    found = scoring.score(
        masked,
        graph,
        taylor.TaylorFO(row_power=power),
        data,
        lambda labels, outputs: tf.reduce_sum(outputs**2, -1) / 2,
    )
    assert (gates.in_a_row(program.program(masked), graph) == 3).sum() == 2
    np.testing.assert_allclose(
        found["TaylorFO"][graph.layer_units("conv")], expected, rtol=1e-6
    )


def test_places_of_a_stream_are_not_in_a_row():
    model = zoo.network("residual_identity")
    graph = tracing.trace(model)
    rows = gates.in_a_row(
        program.program(masking.mask_model(model, graph)), graph
    )
    assert set(rows[graph.prunable]) == {1}


def test_power_must_not_be_negative():
    with pytest.raises(ValueError, match="at least 0 and below inf. Received: row_power=-1"):
        taylor.TaylorFO(row_power=-1)
