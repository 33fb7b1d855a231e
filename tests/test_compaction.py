"""Tests for tfprune.compaction."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from tests import counting
from tests import zoo
from tfprune import compaction
from tfprune import costs
from tfprune import masking
from tfprune import models
from tfprune import tracing
from tfprune import verification


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_compacted_equals_masked(name):
    model = zoo.network(name)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    for seed in range(5):
        keep = zoo.random_keep(graph, seed)
        masking.set_mask(masked, graph, keep)
        np.testing.assert_array_equal(masking.get_mask(masked, graph), keep)
        small = compaction.shrink(model, graph, keep)
        inputs = verification.random_inputs(model, seed=seed)
        result = verification.verify(masked, small, inputs)
        largest = result["max_abs_output"]
        assert result["max_abs_difference"] <= 1e-5 * largest
        assert costs.cost(model, graph, keep) == costs.cost(small)
        assert costs.cost(small).params == small.count_params()
        if keep.sum() < graph.num_units:
            assert small.count_params() < model.count_params()


def published(build, **kwargs):
    """Returns a network of `tfprune.models` with random normalisations."""
    keras.utils.set_random_seed(0)
    model = build(**kwargs)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            for weight in layer.weights:
                weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    "build, kwargs",
    [
        (models.lenet5, {}),
        (models.cifar_lenet5, {}),
        (models.lenet3, {}),
        (models.cifarnet, {}),
        (models.nin, {}),
        (models.alexnet, {}),
        (models.vgg11, {}),
        (models.vgg16, {}),
        (models.preact_resnet18, {}),
        (models.preact_resnet50, {"width": 0.125}),
        (models.resnet34, {"input_shape": (64, 64, 3), "width": 0.25}),
        *(
            (build, {"shortcut": shortcut})
            for build in (models.resnet20, models.resnet32, models.resnet56)
            for shortcut in ("pad", "projection")
        ),
    ],
)
def test_compacted_equals_masked_for_published_networks(build, kwargs):
    model = published(build, **kwargs)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    inputs = verification.random_inputs(model)
    proof = verification.Proof(masked, inputs)
    for seed in range(5):
        keep = zoo.random_keep(graph, seed)
        masking.set_mask(masked, graph, keep)
        small, figures = compaction.proven(proof)
        largest = figures["max_abs_output"]
        assert figures["max_abs_difference"] <= 1e-4 * largest
        cost = costs.cost(small)
        assert costs.cost(model, graph, keep) == cost
        assert cost.params == small.count_params() < model.count_params()
        assert cost.macs == counting.macs(small, inputs[:1])


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_masks_that_a_model_carries_are_enough(name):
    model = zoo.network(name)
    graph = tracing.trace(model)
    keep = zoo.random_keep(graph, 0)
    masked = masking.mask_model(model, graph)
    masking.set_mask(masked, graph, keep)
    one = compaction.compact(masked)
    two = compaction.shrink(model, graph, keep)
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    inputs = verification.random_inputs(model)
    for a, b in zip(
        keras.tree.flatten(one(inputs)),
        keras.tree.flatten(two(inputs)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def half(name="residual_identity"):
    """Returns a model, its graph and a mask of about half of its units."""
    model = zoo.network(name)
    graph = tracing.trace(model)
    return model, graph, zoo.random_keep(graph, 0)


def test_compaction_by_hand():
    inputs = keras.Input((2,))
    x = layers.Dense(3, name="a")(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="b")(x))
    model.set_weights(
        [
            np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
            np.array([7.0, 8.0, 9.0]),
            np.array([[10.0], [20.0], [30.0]]),
            np.array([40.0]),
        ]
    )
    graph = tracing.trace(model)
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("a")[1]] = False
    small = compaction.compact(model, graph, keep)
    kernel, bias, last, offset = small.get_weights()
    np.testing.assert_array_equal(kernel, [[1.0, 3.0], [4.0, 6.0]])
    np.testing.assert_array_equal(bias, [7.0, 9.0])
    np.testing.assert_array_equal(last, [[10.0], [30.0]])
    np.testing.assert_array_equal(offset, [40.0])
    assert small.get_layer("a").units == 2


def test_small_model_has_the_same_names_and_no_class_of_tfprune():
    model, graph, keep = half()
    small = compaction.compact(model, graph, keep)
    names = [layer.name for layer in model.layers[1:]]
    assert [layer.name for layer in small.layers[1:]] == names
    assert "tfprune" not in small.to_json()


LOAD = """
import sys
import keras, numpy
model = keras.models.load_model(sys.argv[1])
inputs = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], model(inputs))
assert "tfprune" not in sys.modules
"""


@pytest.mark.slow
def test_small_model_loads_where_tfprune_is_not_imported(tmp_path):
    model, graph, keep = half("residual_padded")
    small = compaction.compact(model, graph, keep)
    small.save(tmp_path / "small.keras")
    inputs = verification.random_inputs(model)
    np.save(tmp_path / "inputs.npy", inputs)
    files = [tmp_path / x for x in ("small.keras", "inputs.npy", "out.npy")]
    subprocess.run([sys.executable, "-c", LOAD, *files], check=True)
    np.testing.assert_allclose(
        np.load(tmp_path / "out.npy"), small(inputs), rtol=1e-5
    )


def test_constant_initializers_of_the_old_width():
    inputs = keras.Input((4,))
    x = layers.Dense(
        6, bias_initializer=keras.initializers.Constant(np.arange(6.0))
    )(inputs)
    x = layers.BatchNormalization(
        gamma_initializer=keras.initializers.Constant(np.arange(6.0))
    )(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    graph = tracing.trace(model)
    keep = zoo.random_keep(graph, 0)
    small = compaction.compact(model, graph, keep)
    kept = np.arange(6.0)[keep[graph.layer_units(model.layers[1].name)]]
    np.testing.assert_array_equal(small.layers[1].bias, kept)
    np.testing.assert_array_equal(small.layers[2].gamma, kept)


def test_verification_on_inputs_of_the_user():
    model, graph, keep = half()
    images = np.random.rand(3, 8, 8, 3).astype("float32")
    small = compaction.compact(model, graph, keep, verify_on=images)
    assert small.count_params() < model.count_params()


def test_mask_that_does_not_fit_is_refused():
    model, graph, keep = half()
    empty = ~graph.prunable
    with pytest.raises(ValueError, match="leave a channel in every layer"):
        compaction.compact(model, graph, empty)
    with pytest.raises(ValueError, match="True for frozen units"):
        compaction.compact(model, graph, np.zeros_like(keep))
    with pytest.raises(ValueError, match="bool of shape"):
        compaction.compact(model, graph, keep[:-1])
    with pytest.raises(ValueError, match="bool of shape.*Received: float64"):
        compaction.compact(model, graph, keep.astype(float))


def test_graph_and_mask_come_together():
    model, graph, keep = half()
    with pytest.raises(ValueError, match="given together"):
        compaction.compact(model, graph)
    with pytest.raises(ValueError, match="given together"):
        compaction.compact(model, keep=keep)


def test_compiled_model_with_a_lambda_loss():
    model, graph, keep = half("plain")
    model.compile("sgd", loss=lambda y, p: keras.ops.mean((y - p) ** 2))
    small = compaction.compact(model, graph, keep)
    assert small.count_params() < model.count_params()


def test_model_without_masks_needs_graph_and_keep():
    with pytest.raises(ValueError, match="must be a masked model, or come"):
        compaction.compact(zoo.network("plain"))


def test_masked_model_comes_alone():
    model, graph, keep = half()
    masked = masking.mask_model(model, graph)
    with pytest.raises(ValueError, match="no masks yet.*`compact.masked.`"):
        compaction.compact(masked, graph, keep)


def test_thing_that_is_no_model():
    with pytest.raises(ValueError, match="must be a keras.Model of Keras 3"):
        compaction.compact(None)
