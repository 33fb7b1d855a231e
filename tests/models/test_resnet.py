"""Tests for tfprune.models.resnet."""

import keras
import numpy as np
import pytest

from tests import convolutions
from tfprune import costs
from tfprune import models
from tfprune import tracing
from tfprune.models import resnet


def trainable(model):
    return sum(np.prod(v.shape) for v in model.trainable_variables)


@pytest.mark.parametrize(
    "build, settings, parameters, macs",
    [
        (models.resnet20, {}, 269_722, 40_551_040),
        (models.resnet56, {}, 853_018, 125_485_696),
        (models.resnet20, {"shortcut": "projection"}, 272_474, 40_813_184),
        (
            models.resnet56,
            {"shortcut": "projection"},
            855_770,
            125_747_840,
        ),
        (
            models.resnet32,
            {"shortcut": "projection", "classes": 100, "width": 4},
            7_451_044,
            1_100_702_720,
        ),
        (models.resnet34, {}, 21_797_672, 3_663_761_408),
    ],
)
def test_published_sizes(build, settings, parameters, macs):
    model = build(**settings)
    assert trainable(model) == parameters
    assert costs.cost(model).macs == macs


@pytest.mark.parametrize(
    "name, left",
    [
        ("conv1", 269_045),
        ("block1_1_conv2", 269_045),
        ("block2_1_shortcut", 268_160),
        ("block3_2_conv2", 267_344),
        ("block1_1_conv1", 269_968),
    ],
)
def test_closures(name, left):
    model = models.resnet20("projection")
    assert convolutions.weights(model) == 270_256
    assert convolutions.channels(model) == 784
    small = convolutions.without(model, name)
    assert convolutions.weights(small) == left
    last = 63 if name.startswith("block3") else 64
    assert small.get_layer("logits").kernel.shape == (last, 10)


@pytest.mark.parametrize("shortcut", ["pad", "projection"])
@pytest.mark.parametrize("side", [8, 9])
def test_shapes(shortcut, side):
    model = resnet.resnet(14, shortcut, (side, side, 3), classes=4)
    half, quarter = (side + 1) // 2, (side + 3) // 4
    shapes = {
        "conv1_relu": (None, side, side, 16),
        "block1_2_relu": (None, side, side, 16),
        "block2_1_conv1": (None, half, half, 32),
        "block2_2_add": (None, half, half, 32),
        "block3_2_relu": (None, quarter, quarter, 64),
        "pool": (None, 64),
        "logits": (None, 4),
    }
    for name, shape in shapes.items():
        assert model.get_layer(name).output.shape == shape


def test_names_of_a_projection_block():
    names = [layer.name for layer in resnet.resnet(8, "projection").layers]
    assert sorted(name for name in names if name.startswith("block2")) == [
        "block2_1_add",
        "block2_1_conv1",
        "block2_1_conv1_bn",
        "block2_1_conv1_pad",
        "block2_1_conv1_relu",
        "block2_1_conv2",
        "block2_1_conv2_bn",
        "block2_1_relu",
        "block2_1_shortcut",
        "block2_1_shortcut_bn",
    ]


def convolve(x, kernel, strides):
    """Returns the convolution padded by one pixel on every side."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    windows = windows[:, ::strides, ::strides]  # [batch, h, w, channels, 3, 3]
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel)


def test_padded_block_by_hand():
    model = resnet.resnet(8, "pad", (6, 6, 3), width=0.25)
    random = np.random.RandomState(0)
    for weight in model.weights:
        weight.assign(random.randint(-2, 3, weight.shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(np.ones(layer.gamma.shape) - 1e-5)
    ends = [model.get_layer(f"block{stage}_1_relu").output for stage in (1, 2)]
    images = random.randint(-2, 3, (2, 6, 6, 3)).astype("float32")
    x, actual = keras.Model(model.input, ends).predict(images, verbose=0)

    def bn(y, name):
        layer = model.get_layer(name)
        gamma, beta, mean, _ = (weight.numpy() for weight in layer.weights)
        return gamma * (y - mean) + beta

    kernels = [
        model.get_layer(f"block2_1_conv{conv}").kernel.numpy()
        for conv in (1, 2)
    ]
    y = np.maximum(bn(convolve(x, kernels[0], 2), "block2_1_conv1_bn"), 0)
    y = bn(convolve(y, kernels[1], 1), "block2_1_conv2_bn")
    shortcut = np.zeros((2, 3, 3, 8))
    shortcut[..., 2:6] = x[:, ::2, ::2]  # 2 zeros, the 4 channels, 2 zeros
    expected = np.maximum(y + shortcut, 0)
    np.testing.assert_allclose(actual, expected, atol=1e-6 * expected.max())
    assert len(np.unique(expected)) > 20


def test_saved_model_loads_without_custom_objects(tmp_path):
    model = resnet.resnet(8, "pad", (8, 8, 3))
    model.save(tmp_path / "resnet.keras")
    again = keras.models.load_model(tmp_path / "resnet.keras")
    images = np.random.RandomState(0).rand(2, 8, 8, 3).astype("float32")
    np.testing.assert_array_equal(again(images), model(images))


def test_shapes_of_resnet34():
    model = models.resnet34((64, 64, 3), classes=7, width=1 / 32)
    shapes = {
        "conv1": (None, 32, 32, 2),
        "conv1_pool": (None, 16, 16, 2),
        "block1_3_relu": (None, 16, 16, 2),
        "block2_4_relu": (None, 8, 8, 4),
        "block3_6_relu": (None, 4, 4, 8),
        "block4_3_relu": (None, 2, 2, 16),
        "logits": (None, 7),
    }
    for name, shape in shapes.items():
        assert model.get_layer(name).output.shape == shape


def test_pooling_of_resnet34_by_hand():
    model = models.resnet34((18, 18, 3), width=1 / 32)
    ends = [model.get_layer(x).output for x in ("conv1_relu", "conv1_pool")]
    images = np.random.RandomState(0).randn(2, 18, 18, 3).astype("float32")
    x, actual = keras.Model(model.input, ends).predict(images, verbose=0)
    for row in range(5):
        for column in range(5):
            rows = slice(max(0, 2 * row - 1), 2 * row + 2)
            columns = slice(max(0, 2 * column - 1), 2 * column + 2)
            expected = x[:, rows, columns].max(axis=(1, 2))
            np.testing.assert_array_equal(actual[:, row, column], expected)
    assert x.shape[1:] == (9, 9, 2) and len(np.unique(actual)) > 20


def units_of(graph, names):
    """Returns the prunable units that layers of these names write."""
    found = np.concatenate([graph.layer_units(name) for name in names])
    return {unit for unit in found if graph.prunable[unit]}


def test_units_of_resnet34_beside_the_published_gates():
    model = models.resnet34((32, 32, 3))
    graph = tracing.trace(model)
    streams = units_of(graph, [f"block{stage}_1_add" for stage in range(1, 5)])
    assert len(streams) == 960
    # The published gates are behind the second convolution of a block, too,
    # whose channels go with the stream, as those of the stem do.
    names = [x.name for x in model.layers]
    first = units_of(graph, [x for x in names if x.endswith("_conv1")])
    second = units_of(graph, [x for x in names if x.endswith("_conv2")])
    assert second == streams
    assert units_of(graph, ["conv1"]) < streams
    assert graph.prunable.sum() == 960 + len(first)
    assert 960 + 2 * len(first) == 8_512


@pytest.mark.parametrize(
    "build, inner",
    [
        (keras.applications.ResNet50, 7_552),
        pytest.param(
            keras.applications.ResNet101, 16_256, marks=pytest.mark.slow
        ),
    ],
)
def test_units_of_bottlenecks_beside_the_published_gates(build, inner):
    model = build(weights=None, input_shape=(32, 32, 3), include_top=False)
    model = keras.Model(
        model.input, keras.layers.Dense(3)(model.output[:, 0, 0])
    )
    graph = tracing.trace(model)
    streams = units_of(graph, [f"conv{n}_block1_out" for n in range(2, 6)])
    stem = units_of(graph, ["conv1_conv"])
    assert len(streams) == 3_840
    # Nothing is added to what the stem writes: the published search, whose
    # gates are those of the streams and inside of the blocks, leaves it.
    assert len(stem) == 64 and stem.isdisjoint(streams)
    blocks = [
        x.name
        for x in model.layers
        if x.name.endswith(("_1_conv", "_2_conv"))
    ]
    assert len(units_of(graph, blocks)) == inner
    assert graph.prunable.sum() == 3_840 + inner + 64


@pytest.mark.parametrize("depth", [2, 7, 18, 21])
def test_depth_that_no_network_has(depth):
    with pytest.raises(ValueError, match=rf"6n \+ 2 .*depth={depth}"):
        resnet.resnet(depth)


def test_unknown_shortcut():
    with pytest.raises(
        ValueError, match="one of .'pad', 'projection'.*shortcut='identity'"
    ):
        resnet.resnet(20, "identity")
