"""Tests for tfprune.layers.channel_mask."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests import zoo
from tfprune import verification
from tfprune.layers import channel_mask


def masked_dense(**kwargs):
    layer = channel_mask.ChannelMask(layers.Dense(2, **kwargs), [2])
    layer.build((None, 3))
    return layer


def test_output_is_multiplied_with_the_mask():
    layer = masked_dense(kernel_initializer="ones", bias_initializer="ones")
    x = tf.constant([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(layer(x), [[7.0, 7.0]])
    layer.mask.assign([0.0, 1.0])
    np.testing.assert_array_equal(layer(x), [[0.0, 7.0]])


def test_mask_is_not_trained():
    layer = masked_dense()
    assert not layer.mask.trainable
    assert len(layer.trainable_variables) == 2


def test_config_round_trip():
    layer = channel_mask.ChannelMask(layers.Dense(2), [2], name="gate")
    again = channel_mask.ChannelMask.from_config(layer.get_config())
    assert again.mask_shape == (2,) and again.name == "gate"
    assert again.layer.units == 2


@pytest.mark.parametrize("name", ["residual_padded", "constants", "nested"])
def test_masked_model_is_saved_and_loaded(name, tmp_path):
    model = zoo.network(name)
    inputs = verification.random_inputs(model)
    zoo.masked_and_reloaded(model, inputs, tmp_path / "masked.keras")


def test_tap_hears_each_call_and_its_gradient():
    layer = masked_dense(kernel_initializer="ones")
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        with channel_mask.tapped(tape) as taps:
            first = layer(tf.ones((1, 3)))
            second = layer(tf.ones((2, 3)))
        loss = tf.reduce_sum(first**2) + tf.reduce_sum(second * [1.0, 5.0])
    assert [tap[0] for tap in taps] == [layer, layer]
    gradients = tape.gradient(loss, [output for _, output in taps])
    np.testing.assert_array_equal(gradients[0], [[6.0, 6.0]])
    np.testing.assert_array_equal(gradients[1], [[1.0, 5.0]] * 2)


def test_taps_end_with_the_block_even_after_an_error():
    layer = masked_dense()
    with tf.GradientTape() as tape, pytest.raises(KeyError):
        with channel_mask.tapped(tape) as taps:
            raise KeyError
    layer(tf.ones((1, 3)))
    assert taps == []


def test_inner_tap_does_not_close_the_outer_one():
    layer = masked_dense()
    with tf.GradientTape() as tape:
        with channel_mask.tapped(tape) as outer:
            with channel_mask.tapped(tape) as inner:
                layer(tf.ones((1, 3)))
            layer(tf.ones((1, 3)))
    assert (len(outer), len(inner)) == (2, 1)


def test_mask_of_a_half_precision_layer():
    layer = masked_dense(dtype="mixed_float16")
    assert layer(tf.ones((1, 3))).dtype == "float16"


def test_mask_does_not_round_what_the_layer_computes():
    layer = masked_dense(dtype="float64")
    x = tf.constant([[1.1, 2.2, 3.3]], tf.float64)
    np.testing.assert_array_equal(layer(x), layer.layer(x))


def test_layer_that_does_not_tell_its_shape():
    class Doubled(layers.Layer):
        def call(self, x):
            return keras.ops.concatenate([x, x], axis=-1)

    inputs = keras.Input((3,))
    outputs = channel_mask.ChannelMask(Doubled(), (6,))(inputs)
    assert outputs.shape == (None, 6)
