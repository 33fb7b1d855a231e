"""Tests for tfprune.tracing."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from tests import zoo
from tfprune import compaction
from tfprune import tracing
from tfprune import verification


def conv(x, filters, name, **kwargs):
    return layers.Conv2D(filters, 3, padding="same", name=name, **kwargs)(x)


def image(channels=2, side=4):
    return keras.Input((side, side, channels))


def traced(inputs, outputs, **kwargs):
    return tracing.trace(keras.Model(inputs, outputs), **kwargs)


def units(graph, *names):
    return [graph.layer_units(name).tolist() for name in names]


def reasons(graph, name):
    rows = {row.name: row for row in graph.explain()}
    return rows[name].reasons


# Unit numbers by hand. The two channels of the image are units 0 and 1.


def test_convolution_issues_units_that_bn_and_relu_pass_on():
    x = image()
    y = layers.BatchNormalization(name="bn")(conv(x, 3, "conv"))
    y = layers.ReLU(name="relu")(y)
    graph = traced(x, layers.Dense(2, name="out")(layers.Flatten()(y)))
    assert units(graph, "conv", "bn", "relu") == [[2, 3, 4]] * 3
    assert units(graph, "out") == [[5, 6]]
    assert graph.num_units == 7
    np.testing.assert_array_equal(graph.prunable, [0, 0, 1, 1, 1, 0, 0])
    assert graph.reasons == (
        ["model input"] * 2 + [None] * 3 + ["model output"] * 2
    )


def test_add_ties():
    x = image()
    y = layers.Add(name="add")([conv(x, 3, "a"), conv(x, 3, "b")])
    graph = traced(x, zoo.head(y))
    assert units(graph, "a", "b", "add") == [[2, 3, 4]] * 3


def test_streams_are_frozen_if_asked():
    x = image()
    stem = conv(x, 3, "stem")
    inside = conv(conv(stem, 4, "a"), 3, "b")
    y = layers.Add(name="sum")([stem, inside])
    alone = layers.Rescaling(2.0)(conv(y, 5, "alone") + 1.0)
    graph = traced(x, zoo.head(alone), streams=False)
    for name in ("stem", "b", "sum"):
        assert reasons(graph, name) == {"residual stream": 3}
    assert not reasons(graph, "a")
    assert not reasons(graph, "alone")


def test_concatenation_puts_units_side_by_side():
    x = image()
    y = layers.Concatenate(name="join")([conv(x, 2, "a"), x, conv(x, 1, "b")])
    graph = traced(x, zoo.head(y))
    assert units(graph, "a", "b", "join") == [[2, 3], [4], [2, 3, 0, 1, 4]]


def test_flatten_repeats_the_channels_at_each_position():
    x = image(side=2)
    y = layers.Flatten(name="flat")(conv(x, 2, "a"))
    assert units(traced(x, layers.Dense(1)(y)), "flat") == [[2, 3] * 4]


def test_flatten_of_channels_first_moves_the_channels_last():
    x = keras.Input((1, 3, 1))
    y = layers.Conv2D(2, 1, data_format="channels_first")(x)
    y = layers.Flatten("channels_first", name="flat")(y)
    assert units(traced(x, layers.Dense(1)(y)), "flat") == [[1, 2] * 3]


def test_padded_zeros_have_no_unit_and_tie_the_middle_alone():
    x = image()
    y = conv(x, 2, "a")
    padded = ops.pad(y, ((0, 0), (0, 0), (0, 0), (1, 1)))
    y = layers.Add(name="add")([padded, conv(x, 4, "b")])
    graph = traced(x, zoo.head(y))
    assert units(graph, "a", "b") == [[2, 3], [4, 2, 3, 5]]
    pad = graph.nodes[1].path
    assert units(graph, pad, "add") == [[-1, 2, 3, -1], [4, 2, 3, 5]]


def test_zeros_that_meet_zeros_have_no_unit():
    x = image()
    y = ops.pad(conv(x, 2, "a"), ((0, 0), (0, 0), (0, 0), (0, 1)))
    y = layers.Add(name="add")([y, y])
    graph = traced(x, zoo.head(layers.BatchNormalization(name="bn")(y)))
    assert units(graph, "add", "bn") == [[2, 3, -1]] * 2
    assert reasons(graph, "bn") == {"fixed by a shape": 1}


def test_groups_tie_the_same_place_of_each():
    x = image()
    y = conv(conv(x, 4, "a"), 6, "b", groups=2)
    graph = traced(x, zoo.head(y))
    assert units(graph, "a", "b") == [[2, 3, 2, 3], [4, 5, 6, 4, 5, 6]]


@pytest.mark.parametrize(
    "layer",
    [
        layers.DepthwiseConv2D(3, depth_multiplier=2, name="depth"),
        layers.Conv2D(4, 3, groups=2, name="depth"),
    ],
)
def test_depthwise_passes_each_channel_on_repeated(layer):
    x = image()
    graph = traced(x, zoo.head(layer(conv(x, 2, "a"))))
    assert units(graph, "a", "depth") == [[2, 3], [2, 2, 3, 3]]


def test_siamese_calls_issue_one_set_of_units_and_tie_their_inputs():
    a, b = image(), image()
    shared = layers.Conv2D(2, 3, name="shared")
    x, y = shared(conv(a, 2, "a")), shared(conv(b, 2, "b"))
    graph = traced([a, b], zoo.head(layers.Concatenate(name="join")([x, y])))
    assert units(graph, "a", "b") == [[4, 5]] * 2
    assert units(graph, "shared", "join") == [[6, 7], [6, 7, 6, 7]]


def test_shared_sigmoid_has_one_mask_so_its_calls_are_tied():
    x = image()
    shared = layers.Activation("sigmoid", name="shared")
    y = conv(shared(conv(x, 2, "a")), 2, "b")
    graph = traced(x, zoo.head(shared(y)))
    assert units(graph, "a", "b", "shared") == [[2, 3]] * 3


def test_shared_sigmoid_of_two_widths_is_frozen():
    x = image()
    shared = layers.Activation("sigmoid", name="shared")
    y = conv(shared(conv(x, 2, "a")), 3, "b")
    graph = traced(x, zoo.head(shared(y)))
    assert reasons(graph, "a") == {"fixed by a shape": 2}
    assert reasons(graph, "b") == {"fixed by a shape": 3}


def test_shared_relu_ties_nothing():
    x = image()
    shared = layers.ReLU(name="shared")
    y = conv(shared(conv(x, 2, "a")), 3, "b")
    graph = traced(x, zoo.head(shared(y)))
    assert units(graph, "a", "b") == [[2, 3], [4, 5, 6]]
    assert graph.prunable[2:7].all()


def test_layers_of_nested_models_are_named_by_their_path():
    inner = keras.Sequential(
        [image(), layers.Conv2D(3, 3, name="conv")], name="inner"
    )
    outer = keras.Sequential([image(), inner], name="outer")
    x = image()
    graph = traced(x, zoo.head(outer(conv(x, 2, "conv"))))
    assert units(graph, "conv", "outer/inner/conv") == [[2, 3], [4, 5, 6]]


def test_reshape_and_permute_move_units():
    x = image(side=2)
    y = layers.Permute((3, 1, 2), name="first")(conv(x, 3, "a"))
    y = layers.Reshape((12,), name="rows")(y)
    graph = traced(x, layers.Dense(1)(y))
    assert units(graph, "first") == [[2, 3, 4]]
    assert units(graph, "rows") == [[2] * 4 + [3] * 4 + [4] * 4]


def test_channels_split_over_axes_leave_a_rectangle():
    x = image(side=1)
    y = layers.Reshape((1, 1, 2, 3), name="split")(conv(x, 6, "a"))
    graph = traced(x, layers.Dense(1)(layers.Flatten()(y)))
    assert units(graph, "a", "split") == [[2, 3, 4] * 2, [2, 3, 4]]


def test_slice_of_channels():
    x = image()
    y = conv(x, 5, "a")
    y = layers.Concatenate(name="join")([y[..., 1:3], y[..., -1:]])
    assert units(traced(x, zoo.head(y)), "join") == [[3, 4, 6]]


def test_slice_with_a_step_is_fixed():
    x = image()
    graph = traced(x, zoo.head(conv(x, 4, "a")[..., ::2]))
    assert units(graph, graph.nodes[1].path) == [[2, 4]]
    assert reasons(graph, "a") == {"fixed by a shape": 4}


def test_squeeze_and_excite_ties_the_gate_to_what_it_multiplies():
    x = image()
    y = conv(x, 3, "a")
    s = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(y)
    s = layers.Dense(3, name="gate")(layers.Dense(2, name="squeeze")(s))
    y = layers.Multiply(name="times")([y, s])
    graph = traced(x, zoo.head(y))
    assert units(graph, "a", "pool", "gate", "times") == [[2, 3, 4]] * 4
    assert units(graph, "squeeze") == [[5, 6]]


def test_single_channel_that_is_spread_stays():
    x = image()
    y = conv(x, 3, "a") * conv(x, 1, "b")
    graph = traced(x, zoo.head(y))
    assert units(graph, "a", "b") == [[2, 3, 4], [5]]
    assert reasons(graph, "a") == {}
    assert reasons(graph, "b") == {"fixed by a shape": 1}


def test_several_outputs_give_a_list():
    x = image()
    a, b = ops.split(conv(x, 4, "a"), 2, axis=-1)
    graph = traced(x, zoo.head(a + b))
    split = graph.nodes[1].path
    assert [len(array) for array in graph.layer_units(split)] == [2, 2]


def test_tracing_again_gives_the_same_numbers():
    model = zoo.residual_padded()
    one, two = tracing.trace(model), tracing.trace(model)
    for layer in model.layers[1:]:
        np.testing.assert_array_equal(
            one.layer_units(layer.name), two.layer_units(layer.name)
        )


# Reasons


@pytest.mark.parametrize(
    "layer, reason",
    [
        (layers.LayerNormalization(), "normalised across channels"),
        (layers.GroupNormalization(1), "normalised across channels"),
        (layers.Softmax(), "normalised across channels"),
        (layers.Activation("softmax"), "normalised across channels"),
        (layers.BatchNormalization(axis=1), "normalised across channels"),
        (layers.Rescaling(np.ones((4, 4))), "fixed by a shape"),
        (zoo.Unruled(), "no rule for a layer it meets"),
        (
            layers.SpectralNormalization(layers.Dense(2)),
            "no rule for a layer it meets",
        ),
    ],
)
def test_reason_of_the_layer_before(layer, reason):
    x = image()
    graph = traced(x, zoo.head(conv(layer(conv(x, 4, "a")), 2, "b")))
    assert reasons(graph, "a") == {reason: 4}


def test_reasons_of_inputs_and_outputs():
    x = image()
    y = x + conv(x, 2, "a")
    graph = traced(x, [zoo.head(y), conv(y, 3, "b")])
    assert reasons(graph, "a") == {"model input": 2}
    assert reasons(graph, "b") == {"model output": 3}


def test_user_freezes_layers_by_pattern():
    x = image()
    y = conv(conv(conv(x, 2, "stem"), 3, "block_a"), 4, "block_b")
    graph = traced(x, zoo.head(y), frozen=["block_?"])
    assert reasons(graph, "stem") == {}
    assert reasons(graph, "block_a") == {"asked for by the user": 3}
    assert reasons(graph, "block_b") == {"asked for by the user": 4}


def test_frozen_pattern_that_matches_nothing():
    with pytest.raises(ValueError, match="'nowhere', which matches none of"):
        tracing.trace(zoo.plain(), frozen=["nowhere"])


def test_frozen_layer_in_place_of_its_name():
    model = zoo.plain()
    with pytest.raises(ValueError, match="`frozen` must name.*: <Dense name="):
        tracing.trace(model, frozen=[model.layers[-1]])


@pytest.mark.parametrize("frozen", ["a", 3, None])
def test_frozen_is_a_tuple_of_names(frozen):
    with pytest.raises(ValueError, match="tuple of names. Receiv") as caught:
        tracing.trace(zoo.plain(), frozen=frozen)
    assert ("did you mean ('a',)?" in str(caught.value)) is (frozen == "a")


def test_only_unit_of_a_layer_stays():
    x = image()
    y = conv(conv(x, 1, "single"), 8, "a")
    y = conv(conv(y, 4, "groups", groups=4), 2, "b")
    graph = traced(x, zoo.head(y + conv(y, 2, "c", use_bias=False)))
    assert reasons(graph, "single") == {"fixed by a shape": 1}
    assert reasons(graph, "a") == {}
    assert reasons(graph, "groups") == {"fixed by a shape": 4}
    assert reasons(graph, "b") == reasons(graph, "c") == {}


def test_only_unit_of_a_slice_stays():
    x = image()
    y = conv(x, 4, "a")
    graph = traced(x, zoo.head(conv(y[..., 1:2], 2, "b") + y[..., 1:3]))
    assert reasons(graph, "a") == {"fixed by a shape": 1}


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_every_prunable_unit_may_go(name):
    graph = tracing.trace(zoo.network(name))
    for unit in np.flatnonzero(graph.prunable):
        keep = np.arange(graph.num_units) != unit
        assert graph.check(keep) is keep


def test_first_reason_in_rank_of_tied_units_is_told():
    x = image()
    y = conv(x, 2, "a")
    z = layers.LayerNormalization()(conv(y, 3, "b"))
    graph = traced([x], [layers.LayerNormalization()(y), y, zoo.head(z)])
    assert reasons(graph, "a") == {"model output": 2}
    assert reasons(graph, "b") == {"normalised across channels": 3}


def test_classes_are_the_model_output_whatever_normalises_them():
    x = image()
    y = layers.Dense(4, activation="softmax", name="out")(layers.Flatten()(x))
    assert reasons(traced(x, y), "out") == {"model output": 4}


# Explanations and checks


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_explanation_covers_every_layer(name):
    model = zoo.NETWORKS[name]()
    zoo.check_explanation(tracing.trace(model))


def test_explanation_names_the_group_of_each_channel():
    x = image()
    a, b = conv(x, 4, "a"), conv(x, 3, "b")
    both = layers.Concatenate(name="both")([a, b])
    y = layers.Add(name="sum")([conv(both, 4, "c"), a])
    graph = traced(x, zoo.head(y))
    groups = {row.name: row.groups for row in graph.explain()}
    assert groups["a"] == groups["c"] == groups["sum"] == {"a": 4}
    assert groups["both"] == {"a": 4, "b": 3}
    rows = graph.explain()
    assert rows[0].type == "InputLayer"
    assert rows[0].reasons == {"model input": 2}
    assert rows[-1].groups == {}


def test_groups_that_one_layer_begins_are_numbered():
    x = image()
    y = conv(x, 5, "a")
    graph = traced(x, [zoo.head(y), zoo.head(conv(y[..., 2:], 4, "b"))])
    groups = {row.type: row.groups for row in graph.explain()}
    assert groups["GetItem"] == {"a #2": 3}
    assert graph.explain()[1].groups == {"a": 2, "a #2": 3}


def test_table_of_an_explanation_tells_some_groups_and_counts_the_rest():
    x = image()
    parts = [conv(x, 2, name) for name in "abcdef"]
    joined = layers.Concatenate(name="joined")(parts)
    table = str(tracing.explain(keras.Model(x, zoo.head(joined))))
    (line,) = (line for line in table.splitlines() if "joined" in line)
    assert "a (2), b (2), c (2)," in line
    assert "2 more" in table and "f (2)" not in table


def test_explanation_prints_as_a_table():
    text = str(tracing.explain(zoo.plain()))
    last = text.splitlines()[-2]
    for word in ("Dense", "3", "0", "model output"):
        assert word in last
    assert "the rest stays" in text


def test_later_call_on_other_channels_has_a_row_that_edges_name():
    x = image()
    relu = layers.ReLU(name="relu")
    y = relu(conv(relu(conv(x, 4, "a")), 6, "b"))
    y = relu(conv(y, 6, "c"))
    graph = traced(x, zoo.head(layers.Add(name="sum")([y, conv(y, 6, "d")])))
    groups = {row.name: row.groups for row in graph.explain()}
    assert groups["relu"] == {"a": 4}
    assert groups["relu (call 2)"] == {"b": 6}
    assert groups["relu (call 3)"] == groups["sum"] == {"c": 6}
    places = {name: place for place, name in enumerate(groups)}
    skips = [x for x in graph.edges if places[x[1]] > places[x[0]] + 1]
    assert skips == [("relu (call 3)", "sum")]


def test_names_with_brackets_are_printed_as_they_are():
    x = image()
    y = conv(conv(x, 2, "[red]a"), 3, "b[bold]")
    text = str(tracing.explain(keras.Model(x, zoo.head(y))))
    assert "[red]a" in text and "b[bold]" in text


@pytest.mark.parametrize("name", ["nested", "sequential", "residual_padded"])
def test_model_is_unchanged(name):
    model = zoo.network(name)
    config, weights = model.get_config(), model.get_weights()
    inputs = verification.random_inputs(model)
    expected = model(inputs).numpy()
    outputs = [id(layer.output) for layer in model.layers]
    graph = tracing.trace(model)
    compaction.compact(model, graph, zoo.random_keep(graph, 0))
    assert [id(layer.output) for layer in model.layers] == outputs
    assert model.get_config() == config
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model(inputs), expected)
