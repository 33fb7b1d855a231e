"""Tests for tfprune.verification."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import zoo
from tfprune import compaction
from tfprune import exporting
from tfprune import masking
from tfprune import program
from tfprune import serving
from tfprune import tracing
from tfprune import verification


def half(name="residual_identity"):
    """Returns a model, its graph and a mask of about half of its units."""
    model = zoo.network(name)
    graph = tracing.trace(model)
    return model, graph, zoo.random_keep(graph, 0)


def test_verification_measures_the_difference():
    model, graph, keep = half()
    masked = masking.mask_model(model, graph)
    inputs = verification.random_inputs(model)
    exact = verification.verify(masked, model, inputs)
    assert exact["max_abs_difference"] <= 1e-6 * exact["max_abs_output"]
    largest = np.abs(model(inputs)).max()
    np.testing.assert_allclose(exact["max_abs_output"], largest, rtol=1e-6)


@keras.saving.register_keras_serializable()
class Counted(layers.ReLU):
    calls = []

    def call(self, inputs):
        self.calls.append(self.name)
        return super().call(inputs)


def test_proof_follows_the_masks_of_a_model_it_traced_once():
    inputs = keras.Input((8, 8, 3))
    x = Counted(name="counted")(zoo.conv(zoo.conv(inputs, 6), 4))
    model = keras.Model(inputs, zoo.head(x))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    proof = verification.Proof(masked)
    proof.verify_copy(model)
    for unit in np.flatnonzero(graph.prunable)[:3]:
        masking.set_mask(masked, graph, np.arange(graph.num_units) != unit)
        small = compaction.shrink(
            masked,
            masking.trace_masked(masked),
            masking.get_mask(masked, graph),
        )
        Counted.calls.clear()
        proof.verify(small)
        assert Counted.calls == ["counted"]  # of the small model
    with pytest.raises(
        verification.VerificationError, match="The model must compute what its"
    ):
        proof.verify_copy(model)


def channels_first():
    """Returns a model with eight channels first, and eight columns last."""
    inputs = keras.Input((3, 8, 8))
    first = {"data_format": "channels_first", "padding": "same"}
    x = layers.Conv2D(8, 3, bias_initializer="uniform", **first)(inputs)
    x = layers.Conv2D(4, 3, name="last", **first)(x)
    model = keras.Model(inputs, x)
    graph = tracing.trace(model)
    return model, graph, zoo.random_keep(graph, 0)


def test_bias_of_as_many_channels_first_as_columns():
    small = compaction.compact(*channels_first())
    assert small.layers[1].filters < 8


def test_layer_of_channels_first_where_the_models_part_is_named():
    model, graph, keep = channels_first()
    masked = masking.mask_model(model, graph)
    masking.set_mask(masked, graph, keep)
    small = compaction.shrink(model, graph, keep)
    bias = small.get_layer("last").bias
    bias.assign(np.ones(bias.shape))
    with pytest.raises(
        verification.VerificationError, match="part at layer 'last'"
    ):
        verification.verify(masked, small)


def test_models_are_compared_on_sparse_inputs():
    inputs = keras.Input((4,), sparse=True)
    x = layers.Dense(6, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(x))
    graph = tracing.trace(model)
    keep = zoo.random_keep(graph, 0)
    sparse = tf.sparse.from_dense(np.eye(4, dtype="float32"))
    small = compaction.compact(model, graph, keep, verify_on=sparse)
    assert small.count_params() < model.count_params()


@pytest.mark.parametrize("place", [1, 3, -1])
def test_layer_where_the_models_part_is_named(place):
    model, graph, keep = half()
    masked = masking.mask_model(model, graph)
    masking.set_mask(masked, graph, keep)
    small = compaction.shrink(model, graph, keep)
    kernels = [layer for layer in small.layers if hasattr(layer, "kernel")]
    tampered = kernels[place]
    tampered.kernel.assign_add(np.ones(tampered.kernel.shape))
    with pytest.raises(
        verification.VerificationError,
        match=f"Received a difference of .* part at layer {tampered.name!r}",
    ):
        verification.verify(masked, small)


def test_output_that_is_not_finite_is_no_proof():
    model, graph, keep = half()
    bias = model.layers[-1].bias
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(
        verification.VerificationError,
        match="only where their outputs are finite. Received: nan",
    ):
        compaction.compact(model, graph, keep)


def heads(scale, factor):
    """Returns a masked model of two outputs, and it with the second changed.

    Args:
        scale: Of the first output.
        factor: Of the kernel of the second.
    """
    inputs = keras.Input((4,))
    outputs = [layers.Dense(3)(inputs), layers.Dense(3)(inputs)]
    model = keras.Model(inputs, outputs)
    model.layers[1].kernel.assign(scale * model.layers[1].kernel)
    masked = masking.mask_model(model)
    model.layers[2].kernel.assign(factor * model.layers[2].kernel)
    return masked, model


@pytest.mark.parametrize(
    "scale, factor", [(1.0, np.nan), (1e6, 3.0), (1e6, np.nan)]
)
def test_each_output_is_compared_on_its_own(scale, factor):
    masked, other = heads(scale, factor)
    with pytest.raises(verification.VerificationError, match="part at layer"):
        verification.verify(masked, other)


def test_figures_are_those_of_all_outputs():
    masked, other = heads(1e3, 1.0)
    inputs = verification.random_inputs(other)
    largest = max(np.abs(output).max() for output in other(inputs))
    figures = verification.verify(masked, other, inputs)
    assert figures["max_abs_output"] == pytest.approx(largest)


@pytest.mark.parametrize(
    "policy, share",
    [("float32", 5e-5), ("mixed_float16", 5e-3), ("bfloat16", 5e-2)],
)
def test_models_may_differ_by_what_their_type_rounds(policy, share):
    inputs = keras.Input((4,))
    x = layers.Dense(8, dtype=policy)(inputs)
    model = keras.Model(inputs, layers.Dense(3, dtype="float32")(x))
    masked = masking.mask_model(model)
    kernel = model.layers[-1].kernel
    kernel.assign((1 + share) * kernel)
    verification.verify(masked, model)
    kernel.assign((1 + share) * kernel)
    kernel.assign((1 + share) * kernel)
    with pytest.raises(
        verification.VerificationError, match="of the largest output"
    ):
        verification.verify(masked, model)


class Scaling(layers.Layer):
    """Has a factor that its config does not tell."""

    factor = 1.0

    def call(self, inputs):
        return self.factor * inputs


def test_model_that_does_more_than_its_graph_shows_is_refused():
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(Scaling(name="scaling")(x)))
    graph = tracing.trace(model)
    keep = np.ones(graph.num_units, bool)
    compaction.compact(model, graph, keep)
    model.get_layer("scaling").factor = 2.0
    with pytest.raises(
        verification.VerificationError,
        match="must compute what its graph shows.* part at layer 'scaling'",
    ):
        compaction.compact(model, graph, keep)


def named(*names, activation=None):
    """Returns a model of dense layers and an operation."""
    x = inputs = keras.Input((4,))
    for name in names:
        x = layers.Dense(3, name=name, activation=activation)(x)
    return keras.Model(inputs, abs(layers.Dense(2, name="last")(x)))


def test_models_of_other_layers_are_refused():
    masked = masking.mask_model(named("a", "b", activation="sigmoid"))
    with pytest.raises(ValueError, match=r"Received: \['b', 'c'\] in one of"):
        verification.verify(masked, named("a", "c"))
    two = heads(1.0, 1.0)
    with pytest.raises(ValueError, match="2 and 1 outputs"):
        verification.verify(
            two[0], keras.Model(two[1].input, two[1].outputs[:1])
        )


def test_other_model_of_the_same_layers_differs():
    masked = masking.mask_model(named("a"))
    with pytest.raises(verification.VerificationError, match="part at layer"):
        verification.verify(masked, named("a"))
    inputs = keras.Input((4,))
    x = layers.Dense(3, name="a")(inputs)
    other = keras.Model(inputs, layers.Dense(2, name="last")(-x))
    part = [call.path for call in program.program(other).calls]
    other.get_layer("a").set_weights(masked.get_layer("a").layer.get_weights())
    with pytest.raises(
        verification.VerificationError, match=f"part at layer '{part[1]}'"
    ):
        verification.verify(masked, other)


def test_random_inputs_have_the_structure_of_the_model():
    a = keras.Input((3,), name="a")
    b = keras.Input((None, 2), dtype="int32", name="b")
    x = keras.ops.mean(layers.Embedding(2, 4)(b), axis=(1, 2))
    x = layers.Dense(2)(layers.Concatenate()([a, x]))
    inputs = verification.random_inputs(keras.Model({"a": a, "b": b}, x))
    assert inputs["a"].shape == (2, 3)
    assert inputs["a"].min() < 0
    assert inputs["b"].shape == (2, 96, 2)
    assert sorted(np.unique(inputs["b"])) == [0, 1]


def test_random_inputs_have_the_batch_size_of_the_model():
    inputs = keras.Input((4, 6), batch_size=3)
    x = layers.Dense(8, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(keras.ops.mean(x, axis=1)))
    assert verification.random_inputs(model).shape == (3, 4, 6)
    graph = tracing.trace(model)
    small = compaction.compact(model, graph, zoo.random_keep(graph, 0))
    assert small.input_shape == (3, 4, 6)


def test_one_batch_size_holds_for_all_inputs():
    fixed, free = keras.Input((4,), batch_size=3), keras.Input((4,))
    x = layers.Dense(6)(fixed) + layers.Dense(6)(free)
    model = keras.Model([fixed, free], layers.Dense(2)(x))
    inputs = verification.random_inputs(model, batch_size=5)
    assert [x.shape for x in inputs] == [(3, 4), (3, 4)]


@pytest.mark.parametrize(
    "actual, expected, figures",
    [
        ([1.0, 2.0], [1.0, -3.0], (5.0, 3.0)),
        ([True, False], [True, True], (1.0, 1.0)),
        (np.uint8([0]), np.uint8([255]), (255.0, 255.0)),
        ([3 + 4j], [3 - 4j], (8.0, 5.0)),
        ([[1.0]], [1.0], (np.inf, 1.0)),
        (np.zeros((0, 2)), np.zeros((0, 2)), (0.0, 0.0)),
        ([b"a", b"b"], [b"a", b"b"], (0.0, 0.0)),
        ([b"a", b"b"], [b"a", b"c"], (np.inf, 0.0)),
        ([b"1"], [1.0], (np.inf, 0.0)),
    ],
)
def test_difference(actual, expected, figures):
    assert verification.difference(actual, expected) == figures


def labelled(*names):
    """Returns a model that gives the name of the largest of its outputs."""
    inputs = keras.Input((4,))
    x = layers.Dense(6, activation="relu", name="hidden")(inputs)
    x = layers.Dense(len(names), name="logits")(x)
    x = keras.ops.argmax(x, axis=-1)
    lookup = layers.StringLookup(
        vocabulary=names, num_oov_indices=0, invert=True, name="names"
    )
    return keras.Model(inputs, lookup(x))


def test_outputs_can_be_strings(tmp_path):
    model = labelled("bee", "cat")
    graph = tracing.trace(model)
    small = compaction.compact(model, graph, zoo.random_keep(graph, 0))
    assert small.get_layer("hidden").units < 6
    exporting.export(small, tmp_path)
    inputs = verification.random_inputs(model)
    served = serving.load(tmp_path).call(inputs)["names"].numpy()
    assert served.tolist() == small(inputs).numpy().tolist()


def test_other_strings_differ():
    model, other = labelled("bee", "cat"), labelled("bee", "dog")
    other.set_weights(model.get_weights())
    for each in (model, other):
        each.get_layer("logits").bias.assign([0.0, 100.0])
    with pytest.raises(
        verification.VerificationError, match="a difference of inf"
    ):
        verification.verify(masking.mask_model(model), other)
    for each in (model, other):
        each.get_layer("logits").bias.assign([100.0, 0.0])
    figures = verification.verify(masking.mask_model(model), other)
    assert figures == {"max_abs_difference": 0.0, "max_abs_output": 0.0}
