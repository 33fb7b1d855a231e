"""Tests for bin/zoo.py: all models of keras.applications, on small images."""

import pathlib
import sys

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import zoo as networks
from tfprune import compaction
from tfprune import costs
from tfprune import masking
from tfprune import tracing
from tfprune import verification

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "bin"))

import specimens  # noqa: E402
import zoo  # noqa: E402

SIZE = 80  # No model takes less than 75.


def least_prunable(name):
    """Returns the share that must be prunable, but for inputs and outputs."""
    # LayerNormalization freezes the channels of ConvNeXt between its blocks.
    return 0.94 if name.startswith("ConvNeXt") else 0.95


def test_families_are_those_of_all_models():
    modules = {
        name: function.__module__
        for name, function in specimens.constructors().items()
    }
    assert len(modules) == 40
    of_families = [modules[name] for name in specimens.FAMILIES]
    assert sorted(of_families) == sorted(set(modules.values()))


@pytest.fixture(scope="module")
def executor():
    with zoo.workers() as executor:
        yield executor


@pytest.mark.slow
@pytest.mark.parametrize("name", specimens.FAMILIES)
def test_model_is_pruned_saved_and_exported(executor, name):
    found = executor.submit(zoo.examine, name, SIZE, shares=[0.5]).result()
    assert found.difference <= 1e-4
    assert found.inner >= least_prunable(name)
    assert found.small_params < 0.6 * found.params
    assert found.small_macs < 0.6 * found.macs


def whole(name):
    return specimens.build(name, input_shape=(SIZE, SIZE, 3))


def headless(name, size, **kwargs):
    shape = (size, size, 3)
    return specimens.build(name, include_top=False, input_shape=shape, **kwargs)


def open_sizes(name):
    return headless(name, None)


def continued(name):
    base = headless(name, SIZE, pooling="avg")
    return keras.Model(base.input, head(base.output))


def nested(name):
    base = headless(name, SIZE, pooling="max")
    inputs = keras.Input((SIZE, SIZE, 3))
    return keras.Model(inputs, head(base(inputs)))


def head(x):
    return layers.Dense(10)(layers.Dropout(0.2)(x))


# NASNet of open sizes fails on images of any size tried, as Keras builds it.
VARIANTS = [
    (name, build)
    for build in (continued, nested, open_sizes)
    for name in specimens.FAMILIES
    if (name, build) != ("NASNetMobile", open_sizes)
]
WHOLE = [
    (name, whole)
    for name in specimens.constructors()
    if name not in specimens.FAMILIES
]


@pytest.mark.slow
@pytest.mark.parametrize("size", [96, 224])
def test_variant_that_is_left_out_fails_in_keras(size):
    model = keras.applications.NASNetMobile(
        weights=None, include_top=False, input_shape=(None, None, 3)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="calling Add"):
        model(np.zeros((1, size, size, 3), "float32"))


def compact(name, build):
    """Compacts a model with half of its units, which proves it the same."""
    model = build(name)
    graph = tracing.trace(model)
    assert specimens.prunable_inside(graph) >= least_prunable(name)
    if build in (continued, nested):  # Others have many classes or features.
        assert graph.prunable.mean() >= least_prunable(name)
    networks.check_explanation(graph)
    keep = networks.random_keep(graph, 0)
    small = compaction.compact(model, graph, keep)
    assert small.count_params() < 0.6 * model.count_params()
    if build is not open_sizes:
        cost = costs.cost(small)
        assert cost == costs.cost(model, graph, keep)
        assert cost.macs < 0.6 * costs.cost(model, graph).macs


@pytest.mark.slow
@pytest.mark.parametrize("name, build", [*VARIANTS, *WHOLE])
def test_model_is_compacted(executor, name, build):
    executor.submit(compact, name, build).result()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ConvNeXtTiny", "MobileNetV2", "ResNet50"])
def test_proof_would_notice_a_single_unit(name):
    model = whole(name)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    images = verification.random_inputs(model)

    @tf.function
    def outputs():
        return masked(images, training=False)

    expected, changes = outputs().numpy(), []
    rng = np.random.default_rng(0)
    for unit in rng.choice(np.flatnonzero(graph.prunable), 20):
        masking.set_mask(masked, graph, np.arange(graph.num_units) != unit)
        changes.append(np.abs(outputs() - expected).max())
    threshold = verification.TOLERANCE * np.abs(expected).max()
    assert np.mean(changes > threshold) >= 0.9  # Some are 0 on all images.
