"""Tests for tfprune.damage."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import zoo
from tfprune import damage
from tfprune import masking
from tfprune import tracing

RNG = np.random.default_rng(0)


def measured(model, images, drop, frozen=()):
    """Returns the damage of dropping some channels of layers.

    Args:
        model: Any model.
        images: Its inputs.
        drop: {layer: numbers of its channels}.
        frozen: As for `trace`.

    Returns:
        {name of a target: T}.
    """
    graph = tracing.trace(model, frozen)
    masked = masking.mask_model(model, graph)
    found = damage.Damage(masked, graph)
    kept = np.ones(graph.num_units, "float32")
    for name, channels in drop.items():
        kept[graph.layer_units(name)[list(channels)]] = 0.0
    ablating = found.ablating(tf.constant(kept))
    ablating(images, training=True)
    ratios = ablating.change / ablating.size
    return {
        target.name: float(ratio)
        for target, ratio in zip(found.targets, ratios, strict=True)
    }


def ratio(base, ablated):
    """Returns the relative squared change of pairs of arrays together."""
    change = sum(((a - b) ** 2).sum() for a, b in zip(base, ablated))
    return change / sum((a**2).sum() for a in base)


def without(x, channels):
    x = x.copy()
    x[..., list(channels)] = 0.0
    return x


def normalised(x, gamma=1.0, beta=0.0, epsilon=1e-3):
    """Returns `x` normalised by its own moments."""
    axes = tuple(range(x.ndim - 1))
    x = (x - x.mean(axes)) / np.sqrt(x.var(axes) + epsilon)
    return gamma * x + beta


def convolved(x, kernel):
    return tf.nn.conv2d(x, kernel, 1, "SAME").numpy()


# Vector V5 of the specification

V5_OUTPUTS = np.array([[1, 2, 0, 1], [2, 0, 1, 1]], "float32")
V5_KERNEL = np.array([[1, 0, 1, -1], [0, 1, -1, 2]], "float32").T
V5 = {
    (0,): (0.23809524, 0.19047619),
    (1,): (0.19047619, 0.19047619),
    (2,): (0.09523810, 0.09523810),
    (3,): (0.47619048, 0.33333333),
    (0, 1): (0.42857143, 0.38095238),
    (0, 2): (0.52380952, 0.23809524),
    (0, 3): (0.42857143, 0.28571429),
    (1, 2): (0.28571429, 0.28571429),
    (1, 3): (1.04761905, 0.90476190),
    (2, 3): (0.28571429, 0.28571429),
}


def v5(rectified):
    inputs = keras.Input((1, 1, 4))
    x = layers.Conv2D(4, 1, use_bias=False, name="target")(inputs)
    x = layers.Conv2D(2, 1, use_bias=False, name="scorer")(x)
    x = layers.ReLU()(x) if rectified else x
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    model.get_layer("target").set_weights([np.eye(4)[None, None]])
    model.get_layer("scorer").set_weights([V5_KERNEL[None, None]])
    return model


@pytest.mark.parametrize("channels", V5)
@pytest.mark.parametrize("rectified", [False, True])
def test_vectors_of_the_specification(channels, rectified):
    images = V5_OUTPUTS.reshape(2, 1, 1, 4)
    found = measured(v5(rectified), images, {"target": channels})
    np.testing.assert_allclose(
        found["target"], V5[channels][rectified], rtol=1e-6
    )


def test_pruned_filters_are_left_out_of_both_paths():
    model = v5(rectified=False)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    keep = np.ones(graph.num_units, bool)
    units = graph.layer_units("target")
    keep[units[2]] = False
    masking.set_mask(masked, graph, keep)
    kept = np.ones(graph.num_units, "float32")
    kept[units[3]] = 0.0
    ablating = damage.Damage(masked, graph).ablating(tf.constant(kept))
    ablating(V5_OUTPUTS.reshape(2, 1, 1, 4), training=True)
    ratios = ablating.change / ablating.size
    np.testing.assert_allclose(ratios[0], 0.47619048, rtol=1e-6)


# Against numpy


def test_chain_of_normalised_convolutions_by_numpy():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="a")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="a_bn")(x))
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(5, 3, padding="same", use_bias=False, name="b")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="b_bn")(x))
    x = layers.Dense(4, activation="relu", name="c")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    for weight in model.weights:
        weight.assign(RNG.uniform(-0.5, 1.0, weight.shape))
    images = RNG.normal(size=(7, 8, 8, 3)).astype("float32")
    weights = {
        layer.name: [w.numpy() for w in layer.weights] for layer in model.layers
    }

    def pooled(x):
        return x.reshape(7, 4, 2, 4, 2, -1).max((2, 4))

    def second(x):
        x = convolved(pooled(x), weights["b"][0])
        return np.maximum(normalised(x, *weights["b_bn"][:2]), 0)

    def third(x):
        kernel, bias = weights["c"]
        return np.maximum(x.reshape(7, -1) @ kernel + bias, 0)

    first = convolved(images, weights["a"][0])
    first = np.maximum(normalised(first, *weights["a_bn"][:2]), 0)
    drop = {"a": [0, 4, 5], "b": [1, 2]}
    found = measured(model, images, drop)
    expected = ratio([second(first)], [second(without(first, drop["a"]))])
    np.testing.assert_allclose(found["a"], expected, rtol=1e-4)
    x = second(first)  # Undamaged: what "a" lost is not seen one layer on.
    expected = ratio([third(x)], [third(without(x, drop["b"]))])
    np.testing.assert_allclose(found["b"], expected, rtol=1e-4)
    assert found["c"] == 0.0


def residual():
    inputs = keras.Input((3,))
    x = layers.Dense(5, name="stem")(inputs)
    y = layers.Dense(4, name="inner", activation="relu")(x)
    y = layers.Dense(5, name="outer")(y)
    y = layers.BatchNormalization(name="bn")(y)
    x = layers.ReLU()(layers.Add(name="sum")([x, y]))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    for weight in model.weights:
        weight.assign(RNG.uniform(-0.5, 1.0, weight.shape))
    return model


def test_residual_branch_is_scored_before_the_addition():
    model, images = residual(), RNG.normal(size=(9, 3)).astype("float32")
    x = model.get_layer("stem")(images)
    y = model.get_layer("inner")(x).numpy()
    kernel, bias = map(np.asarray, model.get_layer("outer").weights)
    gamma, beta, *_ = map(np.asarray, model.get_layer("bn").weights)

    def end(y):
        return normalised(y @ kernel + bias, gamma, beta)

    found = measured(model, images, {"inner": [1, 3]}, frozen=["sum"])
    expected = ratio([end(y)], [end(without(y, [1, 3]))])
    assert list(found) == ["inner"]
    np.testing.assert_allclose(found["inner"], expected, rtol=1e-4)


def test_stream_is_scored_by_all_that_read_it():
    model, images = residual(), RNG.normal(size=(9, 3)).astype("float32")
    x = model.get_layer("stem")(images).numpy()
    y = model.get_layer("outer")(model.get_layer("inner")(x)).numpy()
    gamma, beta, *_ = map(np.asarray, model.get_layer("bn").weights)
    y = normalised(y, gamma, beta)

    def ends(x, y):
        inner = model.get_layer("inner")(x).numpy()
        logits = model.get_layer("logits")(np.maximum(x + y, 0)).numpy()
        return inner, logits

    drop = [0, 2]
    found = measured(model, images, {"stem": drop})
    expected = ratio(ends(x, y), ends(without(x, drop), without(y, drop)))
    np.testing.assert_allclose(found["stem"], expected, rtol=1e-4)


def test_depthwise_convolution_passes_its_filters_on():
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 1, name="target")(inputs)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(5, 1, use_bias=False, name="scorer")(x)
    x = layers.BatchNormalization()(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    images = RNG.normal(size=(4, 6, 6, 2)).astype("float32")
    x = model.get_layer("depthwise")(model.get_layer("target")(images)).numpy()
    kernel = model.get_layer("scorer").kernel.numpy()

    def end(x):
        return normalised(convolved(x, kernel))

    found = measured(model, images, {"target": [3]})
    expected = ratio([end(x)], [end(without(x, [3]))])
    np.testing.assert_allclose(found["target"], expected, rtol=1e-4)


def test_concatenated_channels_are_scored_by_each_later_layer():
    inputs = keras.Input((3,))
    a = layers.Dense(4, name="a")(inputs)
    b = layers.Dense(3, name="b", activation="tanh")(a)
    x = layers.Concatenate()([a, b])
    c = layers.Dense(2, name="c")(x)
    x = layers.Concatenate()([x, c])
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    images = RNG.normal(size=(5, 3)).astype("float32")
    a = model.get_layer("a")(images).numpy()
    b = model.get_layer("b")(a).numpy()
    c = model.get_layer("c")(np.concatenate([a, b], 1)).numpy()

    def ends(ablated):  # What comes of "a" is undamaged in "b" and "c".
        return [
            model.get_layer("b")(ablated).numpy(),
            model.get_layer("c")(np.concatenate([ablated, b], 1)).numpy(),
            model.get_layer("logits")(
                np.concatenate([ablated, b, c], 1)
            ).numpy(),
        ]

    found = measured(model, images, {"a": [0, 1]})
    expected = ratio(ends(a), ends(without(a, [0, 1])))
    np.testing.assert_allclose(found["a"], expected, rtol=1e-4)


def test_masks_over_several_targets_shut_one_of_them():
    inputs = keras.Input((3,))
    a = layers.Dense(4, name="a")(inputs)
    b = layers.Dense(5, name="b")(a)
    x = layers.BatchNormalization()(layers.Concatenate()([a, b]))
    x = layers.Dense(6, name="c")(layers.ReLU()(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    images = RNG.normal(size=(9, 3)).astype("float32")
    found = measured(model, images, {"b": [0, 1]})
    assert found["a"] == 0.0 and found["b"] > 0.0


def test_layer_that_reads_and_writes_a_stream_scores_it():
    inputs = keras.Input((3,))
    x = stem = layers.Dense(4, name="stem")(inputs)
    y = layers.Dense(4, name="inner", activation="tanh")(x)
    x = layers.Add()([x, y])
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    images = RNG.normal(size=(9, 3)).astype("float32")
    stem = model.get_layer("stem")(images).numpy()

    def ends(x):
        inner = model.get_layer("inner")(x).numpy()
        kept = np.where(x == 0, 0, model.get_layer("inner")(stem).numpy())
        return inner, model.get_layer("logits")(x + kept).numpy()

    found = measured(model, images, {"stem": [1, 3]})
    # What the pruned units of the inner layer return, nobody reads.
    base, ablated = ends(stem), ends(without(stem, [1, 3]))
    np.testing.assert_allclose(found["stem"], ratio(base, ablated), rtol=1e-4)


def test_calls_of_a_shared_layer_are_told_apart_by_their_inputs():
    inputs = keras.Input((3,))
    relu = layers.ReLU()
    a = relu(layers.Dense(4, name="a")(inputs)) + 1.0
    b = keras.ops.tanh(relu(layers.Dense(5, name="b")(inputs)))
    x = layers.Dense(6, name="c")(layers.Concatenate()([a, b]))
    model = keras.Model(inputs, layers.Dense(2)(x))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    for target in damage.Damage(masked, graph).targets[:2]:
        ends = [[call.path for call in chain] for chain in target.scorers]
        assert ends == [["c"]], target.name
        assert any("concatenate" in call.path for call in target.carriers)


def test_heads_are_scored_by_what_their_attention_returns():
    inputs = keras.Input((5, 6))
    attention = layers.MultiHeadAttention(3, 4, name="attention")
    x = attention(inputs, inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    images = RNG.normal(size=(4, 5, 6)).astype("float32")
    base = attention(images, images).numpy()
    found = measured(model, images, {"attention/value_dense": [1]})
    projection = attention.output_dense
    kernel = projection.kernel.numpy().copy()
    kernel[1] = 0.0  # [heads, width, outputs]
    projection.kernel.assign(kernel)
    ablated = attention(images, images).numpy()
    np.testing.assert_allclose(
        found["attention/value_dense"], ratio([base], [ablated]), rtol=1e-4
    )


# What it leaves alone


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_model_computes_and_changes_as_without_ablations(name):
    model = zoo.network(name)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    found = damage.Damage(masked, graph)
    if not found.targets:
        pytest.skip("Nothing is halved.")
    inputs = [
        RNG.normal(size=(6, *x.shape[1:])).astype("float32")
        for x in masked.inputs
    ]
    inputs = inputs[0] if len(inputs) == 1 else inputs
    before = [x.numpy() for x in masked.variables]
    outputs = masked(inputs, training=True)
    after = [x.numpy() for x in masked.variables]
    dropped = RNG.random(graph.num_units) < 0.5
    for drop in (np.zeros_like(dropped), dropped):
        for variable, value in zip(masked.variables, before, strict=True):
            variable.assign(value)
        kept = tf.constant(1.0 - drop, tf.float32)
        ablating = found.ablating(kept)
        again = ablating(inputs, training=True)
        tf.nest.map_structure(np.testing.assert_array_equal, again, outputs)
        for variable, value in zip(masked.variables, after, strict=True):
            np.testing.assert_array_equal(variable, value)
        assert (ablating.change.numpy() > 0).any() == drop.any()
        assert np.isfinite(ablating.size.numpy()).all()


def test_random_numbers_are_the_same_in_both_paths():
    inputs = keras.Input((8,))
    x = layers.Dense(6, name="target")(inputs)
    x = layers.Dropout(0.5, seed=1)(x)
    x = layers.Dropout(0.5)(layers.Dense(4)(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    images = RNG.normal(size=(50, 8)).astype("float32")
    assert list(measured(model, images, {}).values()) == [0.0, 0.0]


def test_random_numbers_of_each_call_are_its_own():
    inputs = keras.Input((8,))
    dropout = layers.Dropout(0.5)
    x = dropout(layers.Dense(6)(inputs))
    x = dropout(layers.Dense(6)(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    images = RNG.normal(size=(50, 8)).astype("float32")
    assert list(measured(model, images, {}).values()) == [0.0, 0.0]


def test_own_losses_of_a_model_are_those_of_the_base_path():
    inputs = keras.Input((3,))
    x = layers.Dense(4, activity_regularizer="l2", name="target")(inputs)
    x = layers.Dense(4, kernel_regularizer="l1", activity_regularizer="l2")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    kept = np.ones(graph.num_units, "float32")
    kept[graph.layer_units("target")[0]] = 0.0
    images = RNG.normal(size=(5, 3)).astype("float32")
    ablating = damage.Damage(masked, graph).ablating(tf.constant(kept))
    ablating(images, training=True)
    found = list(map(float, ablating.losses))
    masked(images, training=True)
    np.testing.assert_allclose(
        sorted(found), sorted(map(float, masked.losses)), rtol=1e-6
    )


@pytest.mark.parametrize("shape", [(5, 4, 4), (5, 4, 4, 1, 1)])
def test_batches_may_lack_the_last_axis_or_have_one_more(shape):
    inputs = keras.Input((4, 4, 1))
    x = layers.Conv2D(6, 3, name="first")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    images = RNG.normal(size=(5, 4, 4, 1)).astype("float32")
    drop = {"first": [0, 2, 3]}
    expected = measured(model, images, drop)
    assert measured(model, images.reshape(shape), drop) == expected


def test_small_groups_have_no_target():
    inputs = keras.Input((3,))
    x = layers.Dense(1, name="single")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(x))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    with pytest.raises(ValueError, match="a layer that can lose channels"):
        damage.Damage(masked, graph)


def test_layer_that_is_dead_has_no_damage():
    inputs = keras.Input((3,))
    x = layers.Dense(4, name="target")(inputs)
    dead = layers.Dense(2, kernel_initializer="zeros", name="dead")
    model = keras.Model(inputs, layers.Dense(2)(dead(x)))
    graph = tracing.trace(model, ["dead"])
    masked = masking.mask_model(model, graph)
    kept = np.ones(graph.num_units, "float32")
    kept[graph.layer_units("target")[0]] = 0.0
    ablating = damage.Damage(masked, graph).ablating(tf.constant(kept))
    ablating(np.ones((5, 3), "float32"), training=True)
    np.testing.assert_array_equal(ablating.damages(), [0.0])


def test_inputs_by_name_may_be_others_too():
    image, more = keras.Input((3,), name="image"), keras.Input((2,), name="more")
    x = layers.Concatenate()([layers.Dense(4)(image), more])
    model = keras.Model([image, more], layers.Dense(2)(x))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    kept = tf.ones([graph.num_units])
    ablating = damage.Damage(masked, graph).ablating(kept)
    inputs = {"a": np.array(3), "image": np.ones((5, 3)), "more": np.eye(5, 2)}
    ablating(inputs, training=True)
    np.testing.assert_array_equal(ablating.damages(), [0.0])
