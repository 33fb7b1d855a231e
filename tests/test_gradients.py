"""Tests for tfprune.gradients."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import vectors
from tfprune import gradients
from tfprune import losses
from tfprune.layers import channel_mask


def test_losses_of_the_model_count_once_for_each_example():
    model = vectors.dense(2, kernel_regularizer=keras.regularizers.L2(0.5))
    targets = np.ones((11, 2), "float32")
    kernel, bias = model.get_weights()
    found = gradients.backward(
        model, vectors.squared_error, vectors.INPUTS, targets
    )
    gradient = (
        vectors.error_step(kernel, bias, vectors.INPUTS, targets)[0] + kernel
    )
    np.testing.assert_allclose(found.gradients[0] / 11, gradient, rtol=1e-5)
    expected = (
        vectors.squared_error(targets, model(vectors.INPUTS))
        + 0.5 * (kernel**2).sum()
    )
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5)


def test_weight_without_influence_and_embedding_have_a_gradient():
    inputs = keras.Input((1,), dtype="int32")
    x = layers.Flatten()(layers.Embedding(5, 2)(inputs))
    model = keras.Model(inputs, [layers.Dense(3)(x), layers.Dense(3)(x)])
    found = gradients.backward(
        model,
        lambda labels, outputs: losses.CrossEntropy()(labels, outputs[0]),
        tf.constant([[1], [4]]),
        tf.constant([0, 1]),
    )
    embedding, kernel, bias, *unused = found.gradients
    assert embedding.shape == (5, 2)
    assert np.any(embedding[1]) and not np.any(embedding[0])
    assert np.any(kernel) and np.any(bias)
    vectors.assert_all_close(unused, [np.zeros((2, 3)), np.zeros(3)])


def test_tap_gradients_are_of_the_sum_of_the_losses():
    model = vectors.tapped()
    _, gate, head = model.layers
    targets = np.ones((11, 2), "float32")
    found = gradients.backward(
        model,
        vectors.squared_error,
        vectors.INPUTS,
        targets,
        tap=channel_mask.tapped,
    )
    ((layer, hidden),) = found.taps
    assert layer is gate
    kernel, bias = head.get_weights()
    expected = 2 * (hidden @ kernel + bias - targets) @ kernel.T
    np.testing.assert_allclose(
        found.tap_gradients[0], expected, rtol=1e-4, atol=1e-6
    )


def test_tap_without_influence_has_zero_gradient():
    inputs = keras.Input((4,))
    heads = [
        channel_mask.ChannelMask(layers.Dense(units), (units,))(inputs)
        for units in (2, 5)
    ]
    found = gradients.backward(
        keras.Model(inputs, heads),
        lambda labels, outputs: outputs[0][:, 0],
        vectors.INPUTS,
        vectors.LABELS,
        tap=channel_mask.tapped,
    )
    unread, read = sorted(found.tap_gradients, key=np.count_nonzero)
    np.testing.assert_array_equal(read, np.tile([1.0, 0.0], (11, 1)))
    np.testing.assert_array_equal(unread, np.zeros((11, 5)))


def errors(labels, outputs):
    return tf.cast(tf.argmax(outputs, -1) != labels, tf.float32)


@pytest.mark.parametrize(
    "loss_fn",
    [errors, lambda labels, outputs: tf.cast(labels, tf.float32)],
)
def test_loss_without_gradient_has_none(loss_fn):
    found = gradients.backward(
        vectors.tapped(),
        loss_fn,
        vectors.INPUTS,
        vectors.LABELS,
        tap=channel_mask.tapped,
    )
    assert found.gradients is None and found.tap_gradients is None
    assert len(found.taps) == 1
    with pytest.raises(ValueError, match="must have a gradient.* Received: a"):
        gradients.required(found.gradients)


def test_regularizer_gives_no_gate_a_gradient():
    inputs = keras.Input((4,))
    dense = layers.Dense(3, kernel_regularizer="l2")
    model = keras.Model(inputs, channel_mask.ChannelMask(dense, (3,))(inputs))
    found = gradients.backward(
        model, errors, vectors.INPUTS, vectors.LABELS, tap=channel_mask.tapped
    )
    assert found.tap_gradients is None
    assert gradients.required(found.gradients) is found.gradients


def test_model_without_weights_to_train_has_no_gradients():
    model = vectors.tapped()
    model.trainable = False
    found = gradients.backward(
        model,
        lambda labels, outputs: tf.reduce_sum(outputs, axis=-1),
        vectors.INPUTS,
        vectors.LABELS,
    )
    assert found.gradients == found.tap_gradients == []


def test_backward_in_inference_mode_leaves_moving_statistics():
    model = vectors.normalised()
    before = model.get_weights()
    gradients.backward(
        model,
        losses.CrossEntropy(),
        vectors.INPUTS,
        vectors.LABELS,
        training=False,
    )
    vectors.assert_all_close(model.get_weights(), before, rtol=0)
