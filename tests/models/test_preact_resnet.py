"""Tests for tfprune.models.preact_resnet."""

import keras
import numpy as np
import pytest

from tests import convolutions
from tfprune import costs
from tfprune import models
from tfprune import tracing
from tfprune.models import preact_resnet

# Channels inside of the blocks of a stage, and how many blocks there are.
INNER_50 = 2 * (3 * 64 + 4 * 128 + 6 * 256 + 3 * 512)
INNER_152 = 2 * (3 * 64 + 8 * 128 + 36 * 256 + 3 * 512)


def trainable(model):
    return sum(np.prod(v.shape) for v in model.trainable_variables)


def test_sizes_of_depth_18():
    model = models.preact_resnet18()
    kernels, normalised, width = 27 * 64, 0, 64
    macs = kernels * 32**2
    for side, filters in ((32, 64), (16, 128), (8, 256), (4, 512)):
        first = 9 * width * filters
        others = 3 * 9 * filters**2
        projection = width * filters if width != filters else 0
        kernels += first + others + projection
        macs += side**2 * (first + others + projection)
        normalised += width + 3 * filters
        width = filters
    normalised += width
    assert convolutions.weights(model) == kernels
    assert trainable(model) == kernels + 2 * normalised + 5_130 == 11_172_170
    assert costs.cost(model).macs == macs + 5_120


@pytest.mark.parametrize(
    "build, inner, streams",
    [
        (models.preact_resnet18, 2 * 960, 960),
        (models.preact_resnet50, INNER_50, 64 + 3_840),
        pytest.param(
            models.preact_resnet152,
            INNER_152,
            64 + 3_840,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_prunable_units(build, inner, streams):
    assert tracing.trace(build()).prunable.sum() == inner + streams


@pytest.mark.parametrize(
    "depth, blocks", [(18, (2, 2, 2, 2)), (50, (3, 4, 6, 3))]
)
def test_shapes_and_names(depth, blocks):
    model = preact_resnet.resnet(depth, (16, 16, 3), 5, width=1 / 32)
    wide = 1 if depth == 18 else 4
    for stage, count in enumerate(blocks):
        side, filters = 16 // 2**stage, wide * 2 * 2**stage
        last = model.get_layer(f"block{stage + 1}_{count}_add")
        assert last.output.shape == (None, side, side, filters)
    adds = [x for x in model.layers if isinstance(x, keras.layers.Add)]
    assert len(adds) == sum(blocks)
    assert model.output.shape == (None, 5)


def test_projections_are_where_the_shape_changes():
    def found(depth):
        model = preact_resnet.resnet(depth, (8, 8, 3), width=1 / 32)
        names = [layer.name for layer in model.layers]
        return sorted(name for name in names if name.endswith("_shortcut"))

    deep = [f"block{stage}_1_shortcut" for stage in range(1, 5)]
    assert found(18) == deep[1:]
    assert found(50) == deep


def block(depth, name):
    """Returns a model of random normalisations, and some tensors by name."""
    model = preact_resnet.resnet(depth, (8, 8, 3), width=1 / 16)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight in layer.weights:
                weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    stage = int(name[5])
    before = f"block{stage - 1}_{'2' if depth == 18 else '3'}_add"
    ends = [model.get_layer(x).output for x in (before, f"{name}_add")]
    images = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    return model, *keras.Model(model.input, ends)(images)


def bn(model, name, x):
    gamma, beta, mean, variance = model.get_layer(name).get_weights()
    return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta


def convolved(model, name, x, strides=1):
    """Returns a convolution padded by half of the kernel on every side."""
    kernel = model.get_layer(name).kernel.numpy()
    size = len(kernel)
    border = (size // 2,) * 2
    padded = np.pad(x, ((0, 0), border, border, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (size, size), (1, 2)
    )
    windows = windows[:, ::strides, ::strides]
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel)


def relu(x):
    return np.maximum(x, 0)


def test_basic_block_by_hand():
    model, x, actual = block(18, "block2_1")
    y = relu(bn(model, "block2_1_before_bn", x))
    shortcut = convolved(model, "block2_1_shortcut", y, 2)
    y = convolved(model, "block2_1_conv1", y, 2)
    y = relu(bn(model, "block2_1_conv1_bn", y))
    y = convolved(model, "block2_1_conv2", y)
    np.testing.assert_allclose(actual, shortcut + y, rtol=1e-4, atol=1e-4)


def test_bottleneck_block_by_hand():
    model, x, actual = block(50, "block2_1")
    y = relu(bn(model, "block2_1_before_bn", x))
    shortcut = convolved(model, "block2_1_shortcut", y, 2)
    y = convolved(model, "block2_1_conv1", y)
    y = relu(bn(model, "block2_1_conv1_bn", y))
    y = convolved(model, "block2_1_conv2", y, 2)
    y = relu(bn(model, "block2_1_conv2_bn", y))
    y = convolved(model, "block2_1_conv3", y)
    np.testing.assert_allclose(actual, shortcut + y, rtol=1e-4, atol=1e-4)


def test_identity_shortcut_goes_around_the_normalisation():
    model = preact_resnet.resnet(18, (8, 8, 3), width=1 / 16)
    model.get_layer("block1_1_conv2").kernel.assign(np.zeros((3, 3, 4, 4)))
    ends = [model.get_layer(x).output for x in ("conv1", "block1_1_add")]
    images = np.random.RandomState(0).randn(2, 8, 8, 3).astype("float32")
    before, after = keras.Model(model.input, ends)(images)
    np.testing.assert_array_equal(after, before)
    assert before.numpy().min() < 0


def test_weights(tmp_path):
    model = models.preact_resnet18((8, 8, 3), width=1 / 32)
    path = tmp_path / "base.keras"
    model.save(path)
    again = models.preact_resnet18((8, 8, 3), width=1 / 32, weights=path)
    for weight, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_depth_that_no_network_has():
    with pytest.raises(ValueError, match=r"\[18, 50, 152\].*depth=20"):
        preact_resnet.resnet(20)
