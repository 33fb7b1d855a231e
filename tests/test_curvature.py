"""Tests for tfprune.curvature."""

import keras
from keras import layers
from keras import ops
import numpy as np
import pytest
import tensorflow as tf

from tfprune import curvature
from tfprune import program

IMAGE, ROWS, VECTOR = (5, 6, 4), (5, 6), (6,)


def built(shape, function):
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


def normalised(axis=-1):
    layer = layers.BatchNormalization(axis=axis)
    layer.build((None, *IMAGE))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.uniform(0.5, 2, x.shape) for x in layer.weights])
    return layer


LAYERS = {
    "dense": (VECTOR, layers.Dense(3, name="x")),
    "dense_tanh": (VECTOR, layers.Dense(3, "tanh")),
    "conv": (IMAGE, layers.Conv2D(3, 3, padding="same")),
    "conv_strides_relu": (IMAGE, layers.Conv2D(3, 3, 2, activation="relu")),
    "conv_groups": (IMAGE, layers.Conv2D(6, 2, groups=2, use_bias=False)),
    "depthwise": (IMAGE, layers.DepthwiseConv2D(3, depth_multiplier=2)),
    "conv_causal": (ROWS, layers.Conv1D(3, 3, 1, "causal", dilation_rate=2)),
    "normalised": (IMAGE, normalised()),
    "normalised_rows": (IMAGE, normalised(axis=1)),
    "relu": (IMAGE, layers.ReLU()),
    "gelu": (IMAGE, layers.Activation("gelu")),
    "max_pool": (IMAGE, layers.MaxPooling2D(3, 2, padding="same")),
    "mean_pool": (IMAGE, layers.AveragePooling2D(3, 2)),
    "mean_pool_same": (IMAGE, layers.AveragePooling2D(3, 2, padding="same")),
    "mean_pool_first": (
        ROWS,
        layers.AveragePooling1D(2, 1, "same", data_format="channels_first"),
    ),
    "global_mean": (IMAGE, layers.GlobalAveragePooling2D()),
    "global_mean_first": (
        ROWS,
        layers.GlobalAveragePooling1D(data_format="channels_first"),
    ),
    "flatten": (IMAGE, layers.Flatten()),
    "padding": (IMAGE, layers.ZeroPadding2D(1)),
    "dropout": (IMAGE, layers.Dropout(0.5)),
    "pad": (IMAGE, lambda x: ops.pad(x, ((0, 0), (0, 0), (0, 0), (1, 2)))),
    "concatenate": (IMAGE, lambda x: layers.Concatenate()([x, x])),
    "added_twice": (IMAGE, lambda x: layers.Add()([x, x])),
}


def squares(labels, outputs):
    """Returns half the squared outputs, with a second derivative of labels."""
    weighted = labels * tf.square(outputs) / 2
    return tf.reduce_sum(weighted, list(range(1, outputs.shape.rank)))


@pytest.mark.parametrize("name", LAYERS)
def test_layer_squares_its_derivatives(name):
    shape, function = LAYERS[name]
    inputs = keras.Input(shape)
    before = layers.Activation("linear", name="before")
    model = keras.Model(inputs, function(before(inputs)))
    rng = np.random.default_rng(1)
    x = tf.constant(rng.normal(size=(2, *shape)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outputs = model(x, training=False)
    jacobian = tape.batch_jacobian(
        outputs, x, experimental_use_pfor=False
    ).numpy()
    labels = rng.uniform(size=outputs.shape).astype("float32")
    found = curvature.diagonals(
        program.program(model), [x], labels, squares
    ).outputs
    places = int(np.prod(outputs.shape[1:]))
    squared = np.square(jacobian.reshape(2, places, *shape))
    expected = np.einsum("bo,bo...->b...", labels.reshape(2, -1), squared)
    assert np.abs(expected).max() > 1e-4
    np.testing.assert_allclose(
        found["before"][0], expected, rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("name", ["dense_tanh", "conv_strides_relu"])
def test_variables_of_one_layer(name):
    shape, layer = LAYERS[name]
    model = built(shape, layer)
    rng = np.random.default_rng(1)
    x = tf.constant(rng.normal(size=(1, *shape)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(x)
    jacobians = tape.jacobian(
        outputs,
        [layer.kernel.value, layer.bias.value],
        experimental_use_pfor=False,
    )
    labels = rng.uniform(size=outputs.shape).astype("float32")
    found = curvature.diagonals(program.program(model), [x], labels, squares)
    for variable, jacobian in zip((layer.kernel, layer.bias), jacobians):
        expected = tf.tensordot(
            labels.ravel(),
            tf.square(tf.reshape(jacobian, [labels.size, *variable.shape])),
            1,
        )
        np.testing.assert_allclose(
            found.variables[id(variable)], expected, rtol=1e-4, atol=1e-6
        )


def test_cross_entropy_begins_with_the_variance_of_its_class():
    model = built((4,), layers.Activation("linear", name="logits"))
    x = tf.random.stateless_normal((3, 4), (0, 1))
    loss_fn = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction=None
    )
    found = curvature.diagonals(
        program.program(model), [x], tf.constant([0, 1, 3]), loss_fn
    )
    p = tf.nn.softmax(x)
    np.testing.assert_allclose(
        found.outputs["logits"][0], p - p**2, rtol=1e-4, atol=1e-6
    )


def test_loss_that_couples_positions():
    model = built((3, 2), layers.Activation("linear", name="logits"))
    x = tf.random.stateless_normal((2, 3, 2), (0, 1))

    def loss_fn(labels, outputs):
        return labels * tf.reduce_sum(outputs, (1, 2)) ** 2

    found = curvature.diagonals(
        program.program(model), [x], tf.constant([1.0, 2.0]), loss_fn
    )
    expected = np.broadcast_to([[[2.0]], [[4.0]]], (2, 3, 2))
    np.testing.assert_allclose(found.outputs["logits"][0], expected)


def test_loss_without_curvature():
    model = built((3, 2), layers.GlobalAveragePooling1D(name="logits"))
    found = curvature.diagonals(
        program.program(model),
        [tf.ones((2, 3, 2))],
        tf.ones((2, 2)),
        lambda labels, outputs: tf.reduce_sum(labels * outputs, axis=1),
    )
    np.testing.assert_array_equal(found.outputs["logits"][0], np.zeros((2, 2)))


def test_branches_add_up():
    inputs = keras.Input((3,))
    x = layers.Activation("linear", name="x")(inputs)
    model = keras.Model(inputs, layers.Concatenate()([x, layers.ReLU()(x)]))
    values = tf.constant([[1.0, -2.0, 3.0]])
    labels = tf.constant([[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]])
    found = curvature.diagonals(
        program.program(model), [values], labels, squares
    )
    np.testing.assert_allclose(found.outputs["x"][0], [[11.0, 2.0, 33.0]])


@pytest.mark.parametrize(
    "function, message",
    [
        (layers.LSTM(3, name="lstm"), "'lstm' of type LSTM"),
        (layers.Softmax(name="soft"), "'soft' of type Softmax"),
        (layers.Dense(3, "softmax", name="p"), "to the logits. Received: 'p'"),
    ],
)
def test_layer_without_a_rule_is_named(function, message):
    model = built((5, 4), function)
    x = tf.ones((2, 5, 4))
    labels = tf.ones(model(x).shape)
    with pytest.raises(ValueError, match=message):
        curvature.diagonals(program.program(model), [x], labels, squares)
