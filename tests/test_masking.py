"""Tests for tfprune.masking."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests import zoo
from tfprune import compaction
from tfprune import limits
from tfprune import masking
from tfprune import tracing
from tfprune import verification
from tfprune.layers import channel_mask


def normalised(bn_training=None):
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 3, name="conv")(inputs)
    x = layers.BatchNormalization(name="bn")(x, training=bn_training)
    return keras.Model(inputs, zoo.head(layers.ReLU(name="relu")(x)))


def masks(masked):
    return [
        layer.name
        for layer in masked.layers
        if isinstance(layer, channel_mask.ChannelMask)
    ]


def shut(graph, name, *channels):
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units(name)[list(channels)]] = False
    return keep


def test_mask_sits_where_the_chain_ends():
    masked = masking.mask_model(normalised())
    assert masks(masked) == ["bn"]
    assert masked.get_layer("bn").mask.shape == (1, 1, 3)
    assert not masked.get_layer("bn").mask.trainable


def test_operation_is_followed_by_a_mask():
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 3, name="conv")(inputs) + 1.0
    model = keras.Model(inputs, zoo.head(x))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    name = f"{graph.nodes[1].path}_mask"
    assert masks(masked) == ["conv", name]
    masking.set_mask(masked, graph, shut(graph, "conv", 1))
    after = keras.Model(masked.input, masked.get_layer(name).output)
    outputs = after(np.random.rand(2, 4, 4, 2)).numpy()
    assert not outputs[..., 1].any() and outputs[..., [0, 2]].all()


def test_mask_after_an_operation_does_not_round():
    inputs = keras.Input((4,), dtype="float64")
    x = layers.Dense(3, dtype="float64")(inputs) + 1.0
    model = keras.Model(inputs, layers.Dense(2, dtype="float64")(x))
    masked = masking.mask_model(model)
    assert len(masks(masked)) == 2
    x = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_allclose(masked(x), model(x), rtol=1e-14)


def test_masked_channels_are_zero_and_the_others_as_before():
    model = normalised()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    masked.get_layer("bn").layer.beta.assign([1.0, 2.0, 3.0])
    images = np.random.rand(2, 4, 4, 2).astype("float32")
    output = keras.Model(masked.input, masked.get_layer("relu").output)
    before = output(images).numpy()
    masking.set_mask(masked, graph, shut(graph, "conv", 0, 2))
    after = output(images).numpy()
    assert not after[..., [0, 2]].any()
    np.testing.assert_array_equal(after[..., 1], before[..., 1])


def test_copy_has_the_same_names_and_weights_of_its_own():
    model = zoo.network("residual_identity")
    masked = masking.mask_model(model)
    names = [layer.name for layer in model.layers[1:]]
    assert [layer.name for layer in masked.layers[1:]] == names
    kernel = model.layers[1].kernel
    copied = masking.unwrapped(masked.get_layer(model.layers[1].name)).kernel
    np.testing.assert_array_equal(kernel, copied)
    copied.assign_add(tf.ones(copied.shape))
    assert not np.array_equal(kernel, copied)


@pytest.mark.parametrize("name", ["plain", "nested", "shared_layer"])
def test_open_masks_change_nothing(name):
    model = zoo.network(name)
    masked = masking.mask_model(model)
    inputs = verification.random_inputs(model)
    np.testing.assert_allclose(masked(inputs), model(inputs), rtol=1e-6)


@pytest.mark.parametrize("bn_training", [None, False, True])
@pytest.mark.parametrize("training", [None, False, True])
def test_batch_statistics_are_used_when_the_model_uses_them(
    bn_training, training
):
    model = normalised(bn_training)
    masked = masking.mask_model(model)
    images = np.random.rand(2, 4, 4, 2).astype("float32")
    np.testing.assert_allclose(
        masked(images, training=training),
        model(images, training=training),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        masked.get_layer("bn").layer.moving_mean,
        model.get_layer("bn").moving_mean,
        rtol=1e-6,
    )


def test_timestep_mask_reaches_the_layers_behind_a_channel_mask():
    inputs = keras.Input((4,), dtype="int32")
    x = layers.Embedding(3, 4, mask_zero=True)(inputs)
    x = layers.Dense(4, activation="sigmoid")(x)
    x = layers.BatchNormalization()(layers.Dense(3)(x))
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    masked = masking.mask_model(model)
    words = np.array([[1, 2, 0, 0], [2, 0, 0, 0]])
    expected = model(words)
    np.testing.assert_allclose(masked(words), expected, rtol=1e-6)
    plain = compaction.compact(masked, verify_on=words)
    np.testing.assert_allclose(plain(words), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["residual_padded", "constants", "nested"])
def test_mask_that_is_set_is_read_back(name):
    model = zoo.network(name)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    assert masking.get_mask(masked, graph).all()
    for seed in range(2):
        keep = zoo.random_keep(graph, seed)
        masking.set_mask(masked, graph, keep)
        np.testing.assert_array_equal(masking.get_mask(masked, graph), keep)


def test_set_mask_refuses_what_compact_refuses():
    model = normalised()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    with pytest.raises(ValueError, match="leave a channel.*'conv'"):
        masking.set_mask(masked, graph, shut(graph, "conv", 0, 1, 2))
    with pytest.raises(ValueError, match="True for frozen units"):
        masking.set_mask(masked, graph, np.zeros(graph.num_units, bool))
    assert masking.get_mask(masked, graph).all()


def test_plain_model_has_no_mask_to_set():
    model = normalised()
    graph = tracing.trace(model)
    with pytest.raises(ValueError, match="made by `mask_model`.*at 'bn'"):
        masking.get_mask(model, graph)
    with pytest.raises(ValueError, match="made by `mask_model`.*at 'bn'"):
        masking.set_mask(model, graph, np.ones(graph.num_units, bool))


def test_masks_of_another_model_stay_as_they_are():
    def twice(last):
        inputs = keras.Input((4,))
        x = layers.Dense(5, name="first")(inputs)
        x = layers.Dense(last, name="second")(x)
        return keras.Model(inputs, layers.Dense(2)(x))

    graph = tracing.trace(twice(3))
    masked = masking.mask_model(twice(6))
    with pytest.raises(ValueError, match=r"mask of shape \(3,\) at 'second'"):
        masking.set_mask(masked, graph, limits.thinned(graph))
    assert all(np.all(x.mask) for x in masked.layers if hasattr(x, "mask"))


def test_model_is_masked_once():
    masked = masking.mask_model(normalised())
    with pytest.raises(ValueError, match="carry no masks yet. Rec.*`set_mask`"):
        masking.mask_model(masked)


def test_variable_masks_by_hand():
    model = normalised()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    keep = shut(graph, "conv", 1)
    found = {
        variable.path: mask
        for variable, mask in masking.variable_masks(masked, graph, keep)
    }
    for path, mask in found.items():
        channels = [1, 0, 1]
        if path.endswith("kernel") and "dense" in path:
            expected = np.outer(channels, [1, 1, 1])
        elif "dense" in path:
            expected = [1, 1, 1]
        elif path.endswith("kernel"):
            expected = np.ones((3, 3, 2, 3)) * channels
        else:
            expected = channels
        np.testing.assert_array_equal(mask, expected)
    assert len(found) == 8


@pytest.mark.parametrize("name", ["constants", "siamese", "sequential"])
def test_open_masks_leave_the_plain_model(name):
    model = zoo.network(name)
    plain = compaction.compact(masking.mask_model(model))
    assert type(plain) is type(model)
    assert [type(layer) for layer in plain.layers] == [
        type(layer) for layer in model.layers
    ]
    inputs = verification.random_inputs(model)
    np.testing.assert_allclose(plain(inputs), model(inputs), rtol=1e-6)


def test_frozen_layers_stay_frozen_in_a_masked_model():
    model = normalised()
    graph = tracing.trace(model, frozen=["conv"])
    again = masking.trace_masked(masking.mask_model(model, graph))
    np.testing.assert_array_equal(again.prunable, graph.prunable)


def test_layer_frozen_by_a_name_with_brackets():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, name="d[0]")(inputs)
    x = keras.layers.Dense(5, name="d0")(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    masked = masking.mask_model(model, tracing.trace(model, ["d[[]0]"]))
    graph = masking.trace_masked(masked)
    assert not graph.prunable[graph.layer_units("d[0]")].any()
    assert graph.prunable[graph.layer_units("d0")].all()
