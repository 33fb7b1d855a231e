"""Tests for tfprune.decay."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tfprune import decay
from tfprune.layers import channel_mask


def check(optimizer=None, weight_decay=0.0, exclude=(), group_lasso=0.0):
    optimizer = optimizer or keras.optimizers.SGD(0.1)
    decay.check(optimizer, weight_decay, exclude, group_lasso)


def kernel_of(filters):
    """Returns a variable of the kernel of a 1x1 convolution."""
    values = np.array(filters, "float32").T  # [in, out]
    return keras.Variable(values[np.newaxis, np.newaxis])


# Weight decay


def test_decay_is_added_to_gradients_by_hand():
    layer = layers.Dense(1, name="first")
    layer.build((None, 2))
    layer.set_weights([np.array([[2.0], [-4.0]]), np.array([6.0])])
    gradients = [tf.constant([[1.0], [1.0]]), tf.constant([1.0])]
    variables = [layer.kernel, layer.bias]
    kernel, bias = decay.decayed(gradients, variables, 0.5, ("bias",))
    np.testing.assert_array_equal(kernel, [[2.0], [-1.0]])
    np.testing.assert_array_equal(bias, [1.0])
    kernel, bias = decay.decayed(gradients, variables, 0.5, ())
    np.testing.assert_array_equal(bias, [4.0])
    assert decay.decayed(gradients, variables, 0.0, ()) is gradients


# Group lasso


def test_filters_shrink_by_hand():
    kernel = kernel_of([[3, 4], [0, 2e-6], [0.06, 0.08]])
    decay.shrink(kernel, [-1], 0.1)
    expected = [[2.94, 3.92], [0, 2e-6], [0, 0]]
    np.testing.assert_allclose(
        kernel.numpy()[0, 0].T, expected, rtol=1e-6, atol=1e-8
    )
    assert kernel.numpy()[0, 0, 1, 1] == np.float32(2e-6)


def test_filters_do_not_change_their_sign():
    kernel = kernel_of([[0.03, -0.04], [2e-5, 0]])
    decay.shrink(kernel, [-1], 0.1)
    np.testing.assert_allclose(kernel.numpy(), 0, atol=1e-8)


def test_norms_fall_by_the_number():
    rng = np.random.default_rng(0)
    kernel = keras.Variable(rng.normal(size=(3, 3, 4, 7)))
    before = kernel.numpy()
    decay.shrink(kernel, [-1], 0.25)
    norms = [
        np.linalg.norm(x.reshape(-1, 7), axis=0)
        for x in (before, kernel.numpy())
    ]
    np.testing.assert_allclose(norms[1], norms[0] - 0.25, rtol=1e-5)
    angles = (before * kernel.numpy()).reshape(-1, 7).sum(axis=0)
    np.testing.assert_allclose(angles, norms[0] * norms[1], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_small_types_are_computed_in_float32(dtype):
    kernel = keras.Variable([[[[3.0, 0.0], [4.0, 0.0]]]], dtype=dtype)
    decay.shrink(kernel, [-1], 1.0)
    found = np.array(kernel.numpy(), "float32")
    np.testing.assert_allclose(
        found, [[[[2.4, 0], [3.2, 0]]]], rtol=1e-2
    )


@pytest.mark.parametrize(
    "layer, shape, names",
    [
        (layers.Conv1D(5, 3), (6, 4), {"kernel": [1, 1, 5]}),
        (layers.Conv2D(5, 3), (6, 6, 4), {"kernel": [1, 1, 1, 5]}),
        (layers.Conv2D(6, 3, groups=2), (6, 6, 4), {"kernel": [1, 1, 1, 6]}),
        (layers.Conv3D(5, 3), (6, 6, 6, 4), {"kernel": [1, 1, 1, 1, 5]}),
        (layers.Conv2DTranspose(5, 3), (6, 6, 4), {"kernel": [1, 1, 5, 1]}),
        (layers.DepthwiseConv2D(3), (6, 6, 4), {"kernel": [1, 1, 4, 1]}),
        (
            layers.SeparableConv2D(5, 3, depth_multiplier=2),
            (6, 6, 4),
            {
                "depthwise_kernel": [1, 1, 4, 2],
                "pointwise_kernel": [1, 1, 1, 5],
            },
        ),
    ],
)
def test_filters_of_all_convolutions(layer, shape, names):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    found = decay.filters(model)
    variables = [getattr(layer, name) for name in names]
    assert [kernel for kernel, _ in found] == variables
    for (kernel, axes), norms in zip(found, names.values()):
        before = kernel.numpy()
        decay.shrink(kernel, axes, 0.01)
        inside = tuple(i for i, length in enumerate(norms) if length == 1)
        inside = tuple(i for i in inside if i - kernel.ndim not in axes)
        sizes = np.sqrt((before**2).sum(axis=inside, keepdims=True))
        assert list(sizes.shape) == norms
        np.testing.assert_allclose(
            kernel.numpy(), before - 0.01 * before / sizes, rtol=1e-4
        )


def test_filters_are_found_inside_of_masks_and_models_and_once():
    inputs = keras.Input((6, 6, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    x = shared(shared(inputs))
    wrapped = layers.Conv2D(4, 3, name="wrapped")
    x = channel_mask.ChannelMask(wrapped, (4,))(x)
    inner = keras.Input((4, 4, 4))
    nested = layers.Conv2D(2, 1, name="nested")
    x = keras.Model(inner, nested(inner))(x)
    frozen = layers.Conv2D(2, 1, trainable=False)
    outputs = layers.Dense(2)(layers.Flatten()(frozen(x)))
    found = decay.filters(keras.Model(inputs, outputs))
    kernels = {id(kernel) for kernel, _ in found}
    assert len(found) == 3
    assert kernels == {id(x.kernel) for x in (shared, wrapped, nested)}


# Arguments


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"weight_decay": float("nan")},
            "number of at least 0 and below inf. Received: weight_decay=nan",
        ),
        (
            {"weight_decay": -1.0},
            "number of at least 0 and below inf. Received: weight_decay=-1.0",
        ),
        ({"exclude": "bias"}, "must be a tuple of strings. .*='bias'"),
        (
            {"exclude": ["(gamma"]},
            "regular expressions. Received: '.gamma', which is none: missing",
        ),
        ({"group_lasso": -1e-8}, "of at least 0 and below inf. Received: group_lasso=-1e-08"),
        ({"group_lasso": np.nan}, "of at least 0 and below inf. Received: group_lasso=nan"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    check()
    with pytest.raises(ValueError, match=message):
        check(**arguments)


def test_two_weight_decays_are_refused():
    with pytest.raises(ValueError, match="one place. .*=0.1 and .*=0.004; set"):
        check(keras.optimizers.AdamW(0.1), weight_decay=0.1)
