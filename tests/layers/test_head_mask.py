"""Tests for tfprune.layers.head_mask."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfprune.layers import channel_mask
from tfprune.layers import head_mask

X = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")


def masked(**kwargs):
    attention = layers.MultiHeadAttention(3, 2, name="attention", **kwargs)
    layer = head_mask.HeadMask(attention, (1, 3, 1), "value_dense")
    return layer, attention


def test_open_heads_change_nothing():
    layer, attention = masked()
    outputs = layer(X, X, use_causal_mask=True)
    inner = attention.value_dense
    inner.activation = keras.activations.linear
    expected = attention(X, X, use_causal_mask=True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)


def test_shut_head_adds_nothing():
    layer, attention = masked()
    layer(X, X)
    layer.mask.assign([[[1], [0], [1]]])
    outputs = layer(X, X)
    layer.mask.assign(np.ones((1, 3, 1)))
    kernel = attention.output_dense.kernel
    kernel.assign(kernel.numpy() * [[[1]], [[0]], [[1]]])
    np.testing.assert_allclose(outputs, layer(X, X), rtol=1e-5, atol=1e-6)


def test_heads_are_tapped_and_shut_for_a_time():
    layer, _ = masked()
    layer(X, X)
    shut = tf.constant([[[1.0], [0.0], [1.0]]])
    with tf.GradientTape() as tape, channel_mask.tapped(tape) as taps:
        with layer.shut(shut):
            without = layer(X, X)
        whole = layer(X, X)
    (first, values), (_, again) = taps
    assert first is layer and values.shape == (2, 5, 3, 2)
    np.testing.assert_array_equal(values, again)
    layer.mask.assign(shut)
    np.testing.assert_allclose(without, layer(X, X), rtol=1e-5, atol=1e-6)
    assert np.abs(whole - without).max() > 1e-3


def test_masks_of_padding_reach_the_attention():
    words = np.array([[1, 2, 0, 0], [2, 1, 3, 0]])
    embedding = layers.Embedding(4, 6, mask_zero=True)
    layer, attention = masked()
    outputs = layer(embedding(words), embedding(words))
    attention.value_dense.activation = keras.activations.linear
    expected = attention(embedding(words), embedding(words))
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    unpadded = attention(embedding(words) + 0.0, embedding(words) + 0.0)
    assert np.abs(unpadded - expected).max() > 1e-4
