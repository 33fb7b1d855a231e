"""Tests for tfprune.layers.fbs_gate and what it is made of."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfprune.layers import fbs_gate
from tfprune.layers import gate_regularizer
from tfprune.layers import moving_threshold
from tfprune.layers import naive_gate
from tfprune.layers import offset_predictor
from tfprune.layers import poolings
from tfprune.layers import predictor
from tfprune.layers import released_fbs_gate
from tfprune.layers import row_predictor
from tfprune.layers import squeeze_gate
from tfprune.layers import winners

KINDS = [
    fbs_gate.FBSGate,
    released_fbs_gate.ReleasedFBSGate,
    squeeze_gate.SqueezeGate,
    naive_gate.NaiveGate,
]
IMAGE = np.array(
    [[1, 0, 2], [1, 4, 0], [1, 0, 0], [1, 0, 2]], "float32"
).reshape(1, 2, 2, 3)
PHI = [[1, 0, 0, -2], [0.5, 1, 0, 0], [0, 0, -0.5, 0]]
KERNEL = [[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 0, -1]]


def by_hand(kind, density):
    """Returns the gate of vector 8.1 for an image of 2 x 2."""
    gate = kind(
        keras.layers.Conv2D(4, 1, use_bias=False),
        keras.layers.BatchNormalization(center=False, scale=False, epsilon=0),
        "relu",
        density=density,
    )
    gate.build((None, 2, 2, 3))
    gate.predictor.wide.kernel.assign(np.reshape(PHI, (1, 1, 3, 4)))
    gate.layer.kernel.assign(np.reshape(KERNEL, (1, 1, 3, 4)))
    gate.normalization.moving_mean.assign([1, 1, 0, 0])
    gate.normalization.moving_variance.assign([1, 1, 1, 4])
    gate.beta.assign([0.5, -0.5, 0, 1])
    return gate


@pytest.mark.parametrize(
    ("density", "boost"),
    [
        (1.0, [2.5, 2, 0.5, 0]),
        (0.75, [2.5, 2, 0.5, 0]),
        (0.5, [2.5, 2, 0, 0]),
        (0.25, [2.5, 0, 0, 0]),
    ],
)
def test_the_most_salient_channels_are_open(density, boost):
    gate = by_hand(fbs_gate.FBSGate, density).gate(IMAGE)
    np.testing.assert_allclose(np.ravel(gate.boost), boost)
    assert np.sum(gate.open) == 4 * density


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (fbs_gate.FBSGate, [[6.25, 0], [1.25, 5], [1.25, 0], [6.25, 0]]),
        (
            released_fbs_gate.ReleasedFBSGate,
            [[5.5, 0], [0.5, 5.5], [0.5, 0], [5.5, 0]],
        ),
    ],
)
def test_output_by_hand(kind, expected):
    outputs = np.reshape(by_hand(kind, 0.5)(IMAGE), (4, 4))
    np.testing.assert_allclose(outputs[:, :2], expected)
    np.testing.assert_array_equal(outputs[:, 2:], 0)


def test_gradient_reaches_the_saliencies_of_open_channels_alone():
    gate = by_hand(fbs_gate.FBSGate, 0.5)
    weights = gate.predictor.wide.kernel.value, gate.predictor.wide.bias.value
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(gate(IMAGE))
    kernel, bias = tape.gradient(total, weights)
    np.testing.assert_allclose(bias, [6, 2.5, 0, 0])
    np.testing.assert_allclose(kernel[0, 0], [[6, 2.5, 0, 0]] * 3)


@pytest.mark.parametrize(
    ("saliencies", "wanted", "expected"),
    [
        ([2, 2, 0, 0], 1, [True, False, False, False]),
        ([0, 0, 3, 0], 2, [True, False, True, False]),
        ([0, 0, 0, 0], 3, [True, True, True, False]),
    ],
)
def test_of_equal_saliencies_the_first_win(saliencies, wanted, expected):
    found = winners.Winners()(
        np.array([saliencies], "float32"), density=wanted / 4
    )
    np.testing.assert_array_equal(found, [expected])


def test_count_is_rounded_up_but_for_what_floats_lack():
    assert winners.count(0.3, 10) == 3
    assert winners.count(0.31, 10) == 4
    assert winners.count(0.01, 10) == 1
    assert winners.count(1.0, 7) == 7


def test_moving_threshold_follows_the_first_loser():
    found = moving_threshold.MovingThreshold(momentum=0.5)
    saliencies = np.array([[3, 2, 1, 0], [5, 4, 0, 0]], "float32")
    found(saliencies, density=0.5)
    assert float(found.threshold) == pytest.approx(-0.1)
    found(saliencies, density=0.5, training=True)
    # Losers 1 and 0, 0.5 in the mean: half of the way from -0.1.
    assert float(found.threshold) == pytest.approx(0.2)
    expected = [[True, True, True, False], [True, True, False, False]]
    np.testing.assert_array_equal(found(saliencies, density=0.5), expected)


def test_moving_threshold_of_all_channels_lets_all_pass():
    found = moving_threshold.MovingThreshold(momentum=0.0)
    saliencies = np.zeros((2, 4), "float32")
    assert np.all(found(saliencies, density=1.0, training=True))
    assert float(found.threshold) == -1


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        (poolings.l1, [2.0, 1.5]),
        (poolings.mean, [-1.0, 1.5]),
        (poolings.l2, [5.0, 4.5]),
        (poolings.largest, [1.0, 3.0]),
    ],
)
def test_poolings(pooling, expected):
    x = tf.reshape([[1.0, 0.0], [-3.0, 3.0]], (1, 2, 1, 2))
    np.testing.assert_allclose(np.ravel(pooling(x, (1, 2))), expected)


def test_gate_regularizer_by_hand():
    gates = tf.constant([[1.0, 2.0], [3.0, 2.0]])

    def penalty(**factors):
        return float(gate_regularizer.GateRegularizer(**factors)(gates))

    assert penalty(l1=2.0) == pytest.approx(2 * (3 + 5) / 2)
    assert penalty(l2=1.0) == pytest.approx((1 + 4 + 9 + 4) / 2)
    assert penalty(channels=1.0) == 0  # Both channels sum up to 4.
    assert penalty(examples=1.0) == pytest.approx(1 / (4 + 1e-3) ** 2)
    assert penalty(l1=2.0, examples=1.0) == pytest.approx(8.0625, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bottleneck", [None, 3])
def test_saved_and_loaded(kind, bottleneck, tmp_path):
    inputs = keras.Input((6, 5, 3))
    extra = {}
    if kind is fbs_gate.FBSGate:
        extra = {
            "beta": offset_predictor.OffsetPredictor(),
            "winners": moving_threshold.MovingThreshold(),
            "regularizer": gate_regularizer.GateRegularizer(l1=1.0),
        }
    gate = kind(
        keras.layers.Conv2D(7, 3, strides=2, padding="same"),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(6.0),
        density=0.5,
        predictor=predictor.Predictor(poolings.largest, bottleneck),
        **extra,
    )
    model = keras.Model(inputs, gate(inputs))
    model.save(tmp_path / "gated.keras")
    again = keras.models.load_model(tmp_path / "gated.keras")
    x = np.random.default_rng(0).standard_normal((4, 6, 5, 3))
    np.testing.assert_array_equal(again(x), model(x))
    assert len(again.losses) == len(model.losses)


def test_rows_have_gates_of_their_own():
    gate = fbs_gate.FBSGate(
        keras.layers.Conv2D(4, 3, strides=2, padding="same"),
        predictor=row_predictor.RowPredictor(),
        density=0.25,
    )
    x = np.random.default_rng(0).standard_normal((2, 6, 8, 3))
    outputs = gate(x)
    found = gate.gate(x)
    assert found.open.shape == (2, 3, 1, 4)
    np.testing.assert_array_equal(np.sum(found.open, axis=(1, 2, 3)), [3, 3])
    shut = np.broadcast_to(np.asarray(found.open) == 0, outputs.shape)
    np.testing.assert_array_equal(np.asarray(outputs)[shut], 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("predicted", [False, True])
def test_absorbed_layers_are_computed_with_all_channels(
    kind, bias, normalized, predicted
):
    rng = np.random.default_rng(0)
    convolution = keras.layers.Conv2D(5, 3, use_bias=bias)
    normalization = keras.layers.BatchNormalization() if normalized else None
    layers = [convolution, *filter(None, [normalization])]
    base = keras.Sequential([keras.Input((6, 6, 3)), *layers])
    for weight in base.weights:
        weight.assign(rng.uniform(0.5, 2, weight.shape))
    if normalized:
        normalization.gamma.assign([1.5, -0.5, 0, 2, -3])
    gate = kind(
        keras.layers.Conv2D(5, 3, use_bias=bias),
        keras.layers.BatchNormalization() if normalized else None,
        "relu",
        beta=offset_predictor.OffsetPredictor() if predicted else None,
    )
    gate.build((None, 6, 6, 3))
    gate.absorb(convolution, normalization)
    x = rng.standard_normal((2, 6, 6, 3))
    np.testing.assert_allclose(gate(x), tf.nn.relu(base(x)), atol=1e-4)


def test_listeners_within_each_other_hear_until_each_ends():
    gate = by_hand(fbs_gate.FBSGate, 0.5)
    with fbs_gate.listening() as outer:
        with fbs_gate.listening() as inner:
            pass
        gate(IMAGE)
    gate(IMAGE)
    assert (len(outer), len(inner)) == (1, 0)
    assert outer[0][0] is gate
