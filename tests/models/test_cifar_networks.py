"""Sizes of the networks that papers prune, and what each unit takes along."""

import keras
from keras import layers
import numpy as np
import pytest

from tfprune import compaction
from tfprune import costs
from tfprune import masking
from tfprune import models
from tfprune import tracing


def kernels(model):
    """Returns how many weights the kernels of convolutions have."""
    return sum(
        int(np.prod(layer.kernel.shape))
        for layer in model.layers
        if isinstance(layer, layers.Conv2D)
    )


def channels(model):
    return sum(
        layer.filters
        for layer in model.layers
        if isinstance(layer, layers.Conv2D)
    )


@pytest.mark.parametrize(
    "build, weights, filters, macs",
    [
        (models.cifar_lenet5, 26_500, 70, 4.306e6),
        (models.cifarnet, 79_200, 128, 12.35e6),
        (models.nin, 965_568, 1_418, 222.5e6),
    ],
)
def test_published_sizes(build, weights, filters, macs):
    model = build()
    assert kernels(model) == weights and channels(model) == filters
    np.testing.assert_allclose(costs.cost(model).macs, macs, rtol=5e-4)


def left(model, *names_and_channels):
    """Returns the kernel weights that are left without one channel each."""
    graph = tracing.trace(model)
    keep = np.ones(graph.num_units, bool)
    for name, channel in names_and_channels:
        keep[graph.layer_units(name)[channel]] = False
    return kernels(compaction.compact(model, graph, keep))


@pytest.mark.parametrize("name, goes", [("conv1", 1_325), ("conv2", 500)])
def test_channels_of_lenet_take_the_slice_that_reads_them_along(name, goes):
    assert left(models.cifar_lenet5(), (name, 3)) == 26_500 - goes


@pytest.mark.parametrize(
    "name, expected",
    [
        ("conv1_bn", 269_045),
        ("block2_1_shortcut_bn", 268_160),
        ("block3_1_shortcut_bn", 267_344),
        ("block1_1_conv1_bn", 269_968),
    ],
)
def test_channels_of_resnet20_take_their_stream_along(name, expected):
    model = models.resnet20(shortcut="projection")
    assert kernels(model) == 270_256
    assert left(model, (name, 5)) == expected


def test_maps_of_classes_stay():
    graph = tracing.trace(models.nin())
    assert not graph.prunable[graph.layer_units("conv3_3")].any()
    assert graph.prunable.sum() == 1_418 - 10


def test_groups_of_alexnet_lose_the_same_places():
    graph = tracing.trace(models.alexnet())
    units = graph.layer_units("conv4")
    np.testing.assert_array_equal(units[:192], units[192:])
    assert graph.prunable[units].all()


@pytest.mark.parametrize(
    "build, expected",
    [
        # conv1 and bias, conv2 and bias, dense layers.
        (models.lenet3, 1_216 + 12_832 + 800 * 120 + 120 + 10_164 + 850),
        # 11,171,146 is the usual count without the last normalisation.
        (models.preact_resnet18, 11_171_146 + 2 * 512),
    ],
)
def test_trained_weights(build, expected):
    variables = build().trainable_variables
    assert sum(int(np.prod(v.shape)) for v in variables) == expected


def test_vgg11_is_normalised_everywhere():
    model = models.vgg11(width=1 / 16)
    count = sum(
        isinstance(layer, layers.BatchNormalization) for layer in model.layers
    )
    assert count == 8 + 2
    assert channels(models.vgg11(width=1 / 16)) == 4 + 8 + 32 + 128


def test_depths_of_preactivation_networks():
    for build, depth in (
        (models.preact_resnet18, 18),
        (models.preact_resnet50, 50),
        (models.preact_resnet152, 152),
    ):
        model = build(width=1 / 64)
        weighted = [
            layer
            for layer in model.layers
            if isinstance(layer, (layers.Conv2D, layers.Dense))
            and "shortcut" not in layer.name
        ]
        assert len(weighted) == depth


def units_of(model, *names):
    """Returns how many prunable units are, and are not, of some layers."""
    graph = tracing.trace(model)
    inner = np.unique(np.concatenate([graph.layer_units(x) for x in names]))
    inside = int(graph.prunable[inner].sum())
    return inside, int(graph.prunable.sum()) - inside


def test_resnet34_has_the_published_gates_inside_of_blocks():
    model = models.resnet34(width=1.0, input_shape=(32, 32, 3))
    assert model.count_params() == 21_797_672 + 2 * 8_512
    names = [x.name for x in model.layers if x.name.endswith("_conv1_bn")]
    inner, streams = units_of(model, *names)
    # Published: 960 gates of streams, 7,552 inside of or after blocks.
    assert inner == 3 * 64 + 4 * 128 + 6 * 256 + 3 * 512
    assert streams == 64 + 128 + 256 + 512


@pytest.mark.parametrize(
    "build, inner",
    [
        (keras.applications.ResNet50, 7_552),
        (keras.applications.ResNet101, 16_256),
    ],
)
def test_bottlenecks_have_the_published_gates(build, inner):
    model = build(weights=None, input_shape=(32, 32, 3), include_top=False)
    names = [
        layer.name
        for layer in model.layers
        if layer.name.endswith(("_1_bn", "_2_bn"))
    ]
    model = keras.Model(model.input, layers.Dense(2)(
        layers.GlobalAveragePooling2D()(model.output)
    ))
    inside, others = units_of(model, *names)
    # The stem of 64 is no gate in the paper's code.
    assert (inside, others) == (inner, 3_840 + 64)


@pytest.mark.parametrize(
    "build",
    [
        models.cifar_lenet5,
        models.cifarnet,
        models.lenet3,
        models.nin,
        lambda: models.preact_resnet18(width=1 / 16),
        lambda: models.preact_resnet50(width=1 / 16),
        lambda: models.vgg11(width=1 / 8),
        lambda: models.resnet34(width=1 / 16, input_shape=(64, 64, 3)),
        models.alexnet,
    ],
)
def test_compacted_equals_masked(build):
    model = build()
    graph = tracing.trace(model)
    keep = ~graph.prunable
    keep[np.random.default_rng(0).permutation(graph.num_units)[::2]] = True
    for units in graph.unit_sets:
        keep[units[:1]] = True
    masked = masking.mask_model(model, graph)
    masking.set_mask(masked, graph, keep)
    small = compaction.compact(masked)  # Compares the two.
    assert costs.cost(small) == costs.cost(model, graph, keep)
