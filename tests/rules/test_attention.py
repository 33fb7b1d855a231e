"""Tests for tfprune.rules.attention."""

import keras
import numpy as np
import pytest
from keras import layers

from tests import odd
from tests import zoo
from tfprune import compaction
from tfprune import costs
from tfprune import masking
from tfprune import tracing


def attended(heads=4, width=6, **kwargs):
    """Returns a model of an attention between dense layers."""
    inputs = keras.Input((5, 3))
    x = layers.Dense(width, name="before")(inputs)
    y = layers.Dense(7, name="other")(inputs)
    attention = layers.MultiHeadAttention(heads, 2, 3, name="mha", **kwargs)
    x = layers.Dense(4, name="after")(attention(x, y))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def prunable(graph):
    return {row.name: row.prunable for row in graph.explain()}


def test_heads_and_all_channels_around_can_be_pruned():
    graph = tracing.trace(attended())
    left = prunable(graph)
    assert left["mha/value_dense"] == 4
    assert [left[x] for x in ("before", "other", "mha")] == [6, 7, 6]
    assert graph.layer_units("mha/value_dense").shape == (4,)


def test_units_on_the_axes_of_the_projections():
    graph = tracing.trace(attended())
    node = next(node for node in graph.nodes if node.path == "mha")
    heads = graph.layer_units("mha/value_dense")
    query, other = graph.layer_units("before"), graph.layer_units("other")
    expected = {
        "query_dense.kernel": (query, heads, None),
        "query_dense.bias": (heads, None),
        "key_dense.kernel": (other, heads, None),
        "key_dense.bias": (heads, None),
        "value_dense.kernel": (other, heads, None),
        "value_dense.bias": (heads, None),
        "output_dense.kernel": (heads, None, graph.layer_units("mha")),
        "output_dense.bias": (graph.layer_units("mha"),),
    }
    assert node.axes.keys() == expected.keys()
    for name, axes in expected.items():
        for actual, units in zip(node.axes[name], axes, strict=True):
            np.testing.assert_array_equal(actual, units)


def test_compacted_attention_has_the_heads_that_are_left():
    model = attended()
    graph = tracing.trace(model)
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("mha/value_dense")[[0, 2]]] = False
    keep[graph.layer_units("before")[:3]] = False
    keep[graph.layer_units("mha")[0]] = False
    small = compaction.compact(model, graph, keep).get_layer("mha")
    assert small.num_heads == 2
    assert small.query_dense.kernel.shape == (3, 2, 2)
    assert small.output_dense.kernel.shape == (2, 3, 5)
    np.testing.assert_array_equal(
        small.value_dense.kernel,
        model.get_layer("mha").value_dense.kernel.numpy()[:, [1, 3]],
    )


def test_cost_is_that_of_the_projections():
    graph = tracing.trace(attended())
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("mha/value_dense")[0]] = False
    dense = 5 * (3 * 6 + 3 * 7 + 6 * 4 + 4 * 3)
    head = 5 * (6 * 2 + 7 * 2 + 7 * 3 + 3 * 6)
    assert costs.cost(attended()).macs == dense + 4 * head
    assert costs.cost(attended(), graph, keep).macs == dense + 3 * head
    assert graph.explain().uncounted == ["mha"]


@pytest.mark.parametrize("name", ["vision_transformer", "attention_to_words"])
def test_masked_model_is_saved_with_its_heads(tmp_path, name):
    model = odd.built(name)
    inputs = np.ones((2, *model.input_shape[1:]), "float32")
    path = tmp_path / "masked.keras"
    again = zoo.masked_and_reloaded(model, inputs, path)
    compaction.compact(again).save(tmp_path / "small.keras")
    small = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_allclose(small(inputs), again(inputs), rtol=1e-4)


def test_transformer_loses_heads_and_hidden_channels():
    graph = tracing.trace(odd.MODELS["vision_transformer"]())
    rows = graph.explain()
    heads = [row.prunable for row in rows if "value_dense" in row.name]
    assert heads == [4, 4]
    hidden = [row.prunable for row in rows if row.channels == 10]
    assert hidden == [10, 10]
    (conv,) = [row for row in rows if row.type == "Conv2D"]
    assert conv.reasons == {"normalised across channels": 6}


def test_scores_that_are_returned_keep_their_heads():
    inputs = keras.Input((5, 3))
    x = layers.Dense(4, name="before")(inputs)
    x, scores = layers.MultiHeadAttention(3, 2, name="mha")(
        x, x, return_attention_scores=True
    )
    outputs = [layers.Dense(2)(layers.Flatten()(y)) for y in (x, scores)]
    graph = tracing.trace(keras.Model(inputs, outputs))
    left = prunable(graph)
    assert left["mha"] == left["mha/value_dense"] == 0
    assert left["before"] == 4


def test_attention_of_several_output_axes_has_no_rule():
    left = prunable(tracing.trace(attended(output_shape=(2, 3))))
    assert left["before"] == left["other"] == 0
    assert "mha/value_dense" not in left


def test_single_head_stays():
    rows = {row.name: row for row in tracing.explain(attended(heads=1))}
    assert rows["mha/value_dense"].reasons == {"fixed by a shape": 1}


def test_heads_are_frozen_by_their_own_name():
    left = prunable(tracing.trace(attended(), frozen=["mha/value_dense"]))
    assert left["mha/value_dense"] == 0 and left["mha"] == 6
    left = prunable(tracing.trace(attended(), frozen=["mha"]))
    assert left["mha/value_dense"] == 4 and left["mha"] == 0


@pytest.mark.parametrize("frozen", [["mha"], ["mha/value_dense"], ["*"]])
def test_what_is_frozen_is_read_back_from_the_masks(frozen):
    model = attended()
    graph = tracing.trace(model, frozen=frozen)
    again = masking.trace_masked(masking.mask_model(model, graph))
    np.testing.assert_array_equal(again.prunable, graph.prunable)


def test_projection_that_is_altered_has_no_rule():
    model = attended()
    model.get_layer("mha").query_dense.enable_lora(2)
    left = prunable(tracing.trace(model))
    assert left["before"] == 0 and left["after"] == 4
