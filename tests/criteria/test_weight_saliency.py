"""Tests for tfprune.criteria.weight_saliency."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import zoo
from tfprune import masking
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import pointwise
from tfprune.criteria import reductions
from tfprune.criteria import weight_saliency

REDUCTIONS = {
    # What is made of each point, then of the sum over a filter.
    "Sum": (lambda s: s, lambda c: c),
    "L1": (np.abs, lambda c: c),
    "L2": (np.square, lambda c: c),
    "AbsSum": (lambda s: s, np.abs),
    "SquareSum": (lambda s: s, np.square),
}
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(5, 2)).astype("float32")
LABELS = RNG.normal(size=(5, 2)).astype("float32")


def squared_error(labels, outputs):
    return tf.reduce_sum((labels - outputs) ** 2, axis=-1)


def network():
    inputs = keras.Input((2,))
    hidden = layers.Dense(3, "tanh", name="hidden", bias_initializer="ones")
    last = layers.Dense(2, name="last")
    return keras.Model(inputs, last(hidden(inputs)))


def scored(model, criterion, keep=None):
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    data = tf.data.Dataset.from_tensors((INPUTS, LABELS))
    found = scoring.score(masked, graph, criterion, data, squared_error)
    return found[criterion.name][graph.layer_units("hidden")]


def points(model, bias):
    """Returns value, gradient and curvature of each example's filters."""
    hidden, last = (model.get_layer(name) for name in ("hidden", "last"))
    before = INPUTS @ hidden.kernel.numpy() + hidden.bias.numpy()
    slope = 1 - np.tanh(before) ** 2  # [5, 3]
    errors = 2 * (model(INPUTS).numpy() - LABELS)
    to_filter = errors @ last.kernel.numpy().T * slope
    second = 2 * (last.kernel.numpy() ** 2).sum(axis=1) * slope**2
    rows = np.ones((5, 1), "float32") if bias else np.zeros((5, 0), "float32")
    read = np.concatenate([INPUTS, rows], axis=1)[:, :, None]  # [5, 2 + 1, 1]
    value = hidden.kernel.numpy()
    if bias:
        value = np.concatenate([value, hidden.bias.numpy()[None]])
    return value[None], read * to_filter[:, None], read**2 * second[:, None]


POINTWISE = {
    "value": lambda w, g, d: w + 0 * g,
    "gradient": lambda w, g, d: g,
    "taylor": lambda w, g, d: -w * g,
    "fisher": lambda w, g, d: (w * g) ** 2 / 2,
    "hessian": lambda w, g, d: w**2 * d / 2,
    "taylor_hessian": lambda w, g, d: -w * g + w**2 * d / 2,
    "taylor_fisher": lambda w, g, d: -w * g + (w * g) ** 2 / 2,
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", POINTWISE)
def test_equals_the_derivatives_of_each_example(name, bias):
    model = network()
    worth = POINTWISE[name](*points(model, bias))
    for kind, (point, example) in REDUCTIONS.items():
        criterion = weight_saliency.WeightSaliency(
            getattr(pointwise, name), getattr(reductions, kind)(), bias
        )
        expected = example(point(worth).sum(axis=1)).mean(axis=0)
        np.testing.assert_allclose(
            scored(model, criterion),
            expected,
            rtol=1e-4,
            atol=1e-6,
            err_msg=kind,
        )


def test_per_weight_divides_by_the_fan_in():
    model = network()
    arguments = pointwise.taylor, reductions.L1()
    whole = weight_saliency.WeightSaliency(*arguments)
    each = weight_saliency.WeightSaliency(*arguments, per_weight=True)
    np.testing.assert_allclose(
        scored(model, each), scored(model, whole) / 2, rtol=1e-6
    )


def test_convolutions_of_a_residual_network():
    model = zoo.network("residual_identity")
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    images = RNG.normal(size=(3, *model.input_shape[1:])).astype("float32")
    labels = RNG.normal(size=(3, model.output_shape[-1])).astype("float32")
    data = tf.data.Dataset.from_tensors((images, labels))
    criterion = weight_saliency.WeightSaliency(
        pointwise.taylor, reductions.Sum()
    )
    found = scoring.score(masked, graph, criterion, data, squared_error)
    with tf.GradientTape() as tape:
        losses = squared_error(labels, model(images, training=False))
    kernels = {
        layer.name: layer.kernel
        for layer in model.layers
        if isinstance(layer, layers.Conv2D)
    }
    gradients = tape.gradient(losses, [k.value for k in kernels.values()])
    expected = np.zeros(graph.num_units)
    for (name, kernel), gradient in zip(kernels.items(), gradients):
        change = -(kernel.numpy() * gradient.numpy()).sum(axis=(0, 1, 2)) / 3
        np.add.at(expected, graph.layer_units(name), change)
    np.testing.assert_allclose(
        found[criterion.name][graph.prunable],
        expected[graph.prunable],
        rtol=1e-3,
        atol=1e-5,
    )
