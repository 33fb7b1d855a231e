"""Tests for tfprune.criteria.hessian, OBD and TaylorSO."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import strategies
from tests import zoo
from tests.test_scoring import cross_entropy
from tests.test_scoring import little_network
from tfprune import criteria
from tfprune import gates
from tfprune import masking
from tfprune import program
from tfprune import scoring
from tfprune import tracing
from tfprune import verification

BOTH = {"h": criteria.OBD(), "so": criteria.TaylorSO()}


def smooth_loss(labels, outputs):
    outputs = keras.tree.flatten(outputs)
    return tf.add_n(
        [tf.reduce_sum(tf.tanh(x / 8), range(1, x.shape.rank)) for x in outputs]
    ) + tf.cast(labels, "float32")


def test_little_network_by_hand():
    model, images, labels = little_network()
    graph = tracing.trace(model)
    found = scoring.score(
        masking.mask_model(model, graph),
        graph,
        BOTH,
        tf.data.Dataset.from_tensors((images, labels)),
        cross_entropy,
    )
    units = graph.layer_units("conv")
    np.testing.assert_allclose(
        found["h"][units], [0.1262486, 0.0, 0.0458002], rtol=2e-6
    )
    np.testing.assert_allclose(
        found["so"][units], [0.75706739, 0.0, 2.08666152], rtol=2e-6
    )


def test_reductions_by_hand():
    # With gates of 1: h, and (-g + h / 2) ** 2.
    h, g = np.array([0.4, -0.2, 0.1]), np.array([0.2, 0.4, -0.1])
    np.testing.assert_allclose(criteria.OBD().reduce(h[None]), h)
    np.testing.assert_allclose(
        criteria.TaylorSO().reduce((h / 2 - g)[None]), [0, 0.25, 0.0225]
    )


def residual(x):
    x = layers.Conv2D(4, 3, padding="same", activation="tanh")(x)
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    x = layers.Activation("sigmoid")(layers.Add()([x, y]))
    return layers.Dense(3)(layers.GlobalAveragePooling2D()(x))


def separable(x):
    x = layers.Conv2D(5, 1, activation="tanh")(x)
    x = layers.Activation("softplus")(layers.DepthwiseConv2D(2)(x))
    return layers.Dense(3)(layers.Flatten()(x))


def squeezed(x):
    x = layers.Conv2D(5, 2, activation="swish")(x)
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Conv2D(5, 1, activation="sigmoid")(y)])
    x = layers.Concatenate()([x, layers.Conv2D(2, 1)(x)])
    return layers.Dense(2)(layers.Flatten()(x))


def called_twice(x):
    conv = layers.Conv2D(4, 3, padding="same", activation="tanh")
    x = layers.Concatenate()([conv(x), conv(layers.ReLU()(x))])
    return layers.Dense(2)(layers.Flatten()(x))


def concatenated(x):
    x = layers.Conv2D(8, 3, activation="tanh")(x)
    y = layers.Conv2D(8, 3, padding="same", activation="tanh")(x)
    x = layers.Concatenate()([x, y])
    x = layers.Conv2D(4, 1, activation="tanh")(x)
    return layers.Dense(3)(layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize(
    "net", [residual, separable, squeezed, called_twice, concatenated]
)
def test_equals_finite_differences(net):
    inputs = keras.Input((5, 5, 3))
    model = keras.Model(inputs, net(inputs))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        positive = "variance" in weight.path
        low, scale = (0.5, 1.0) if positive else (-0.5, 1.0)
        weight.assign(low + scale * rng.random(weight.shape))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    inputs = verification.random_inputs(model, batch_size=3)
    given = tuple(inputs) if isinstance(inputs, list) else inputs
    data = tf.data.Dataset.from_tensors((given, tf.zeros(3)))
    found = scoring.score(masked, graph, BOTH, data, smooth_loss)
    masks = list(masking.masks_of(masked, graph))
    rows = gates.in_a_row(program.program(masked), graph)
    loss = tf.function(
        lambda: tf.reduce_mean(smooth_loss(tf.zeros(3), masked(inputs)))
    )

    def loss_at(unit, value):
        for mask, units in masks:
            # Places in a row share the step: each takes a root of it.
            power = 1 / rows[unit]
            mask.mask.assign(np.where(units == unit, value**power, 1.0))
        return float(loss())

    step, prunable = 0.05, np.flatnonzero(graph.prunable)
    first, second = [], []
    for unit in prunable:
        low, middle, high = (
            loss_at(unit, x) for x in (1 - step, 1.0, 1 + step)
        )
        first.append((high - low) / (2 * step))
        second.append((high - 2 * middle + low) / step**2)
    first, second = np.array(first), np.array(second)
    size = np.abs(second).max()
    assert size > 1e-3
    np.testing.assert_allclose(
        found["h"][prunable], second, rtol=0.1, atol=0.03 * size
    )
    np.testing.assert_allclose(
        np.sqrt(found["so"][prunable]),
        np.abs(second / 2 - first),
        rtol=0.1,
        atol=0.03 * max(size, np.abs(first).max()),
    )


def test_dead_units_score_nothing():
    model = zoo.network("residual_identity")
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    keep = zoo.random_keep(graph, 0, 0.5)
    masking.set_mask(masked, graph, keep)
    images = verification.random_inputs(model, batch_size=2)
    data = tf.data.Dataset.from_tensors((images, tf.zeros(2)))
    found = scoring.score(masked, graph, BOTH, data, smooth_loss)
    assert not found["so"][~keep].any()
    assert found["so"][keep & graph.prunable].any()


def test_one_and_two_replicas_agree():
    model = zoo.network("plain")
    weights, found = model.get_weights(), []
    images = verification.random_inputs(model, batch_size=3)
    data = tf.data.Dataset.from_tensors((images, tf.zeros(3)))
    for strategy in (strategies.one_replica(), strategies.two_replicas()):
        with strategy.scope():
            again = zoo.NETWORKS["plain"]()
            again.set_weights(weights)
            graph = tracing.trace(again)
            masked = masking.mask_model(again, graph)
            scores = scoring.score(masked, graph, BOTH, data, smooth_loss)
            found.append(scores["so"])
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-9)


def first_score(function, loss_fn=smooth_loss):
    """Returns what scoring a convolution before a function gives."""
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(6, 1, activation="tanh")(inputs)
    x = layers.Conv2D(4, 1)(function(layers.Conv2D(6, 1)(x)))
    model = keras.Model(inputs, layers.Flatten()(x))
    graph = tracing.trace(model)
    assert graph.prunable.any()
    images = verification.random_inputs(model, batch_size=2)
    data = tf.data.Dataset.from_tensors((images, tf.zeros(2)))
    masked = masking.mask_model(model, graph)
    return scoring.score(masked, graph, criteria.OBD(), data, loss_fn)


@pytest.mark.parametrize(
    "layer",
    [
        layers.LayerNormalization(name="x"),
        layers.GroupNormalization(2, name="x"),
        layers.UpSampling2D(2, interpolation="bilinear", name="x"),
        layers.Resizing(5, 5, name="x"),
        layers.TimeDistributed(layers.LayerNormalization(), name="x"),
    ],
)
def test_layer_of_inexact_second_derivatives_is_named(layer):
    with pytest.raises(ValueError, match="must be exact. Received: 'x'"):
        first_score(layer)


def test_operation_of_inexact_second_derivatives_is_named():
    with pytest.raises(ValueError, match="of type Moments"):
        first_score(lambda x: x + keras.ops.moments(x, [1], keepdims=True)[1])


def test_operation_without_second_derivatives_is_named():
    with pytest.raises(ValueError, match="must exist .* SoftsignGrad"):
        first_score(layers.Activation("softsign"))


def test_loss_without_a_gradient_is_refused():
    with pytest.raises(ValueError, match="`loss_fn` must have a gradient"):
        first_score(
            layers.ReLU(),
            lambda _, outputs: tf.cast(tf.argmax(outputs, -1), tf.float32),
        )
