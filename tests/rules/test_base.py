"""Tests for tfprune.rules.base."""

import keras
import numpy as np
import pytest
from keras import layers

from tests import zoo
from tfprune import compaction
from tfprune import costs
from tfprune import limits
from tfprune import masking
from tfprune import rules
from tfprune import tracing
from tfprune.rules import base


@keras.saving.register_keras_serializable(package="tests")
class Scale(layers.Layer):
    """A user's layer: `width` scales, one for each channel."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(self.width,), name="scale")

    def call(self, x):
        return x * self.scale

    def get_config(self):
        return {**super().get_config(), "width": self.width}


class ScaleRule(rules.Rule):
    """The units pass, and lie on the only axis of the scale."""

    pointwise = True

    def outputs(self, node):
        return [node.inputs[0]]

    def axes(self, node):
        return {"scale": (node.channels(),)}

    def config(self, node, kept):
        return {"width": kept(node.outputs[0])}

    def leaks(self, node):
        return False


@pytest.fixture
def tables(monkeypatch):
    """Forgets what a test registers."""
    monkeypatch.setattr(base, "_RULES", dict(base._RULES))


def scaled():
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    return keras.Model(inputs, zoo.head(Scale(4, name="scale")(x)))


def test_layer_without_a_rule_freezes_what_it_meets():
    graph = tracing.trace(scaled())
    assert not graph.prunable.any()
    rows = {row.name: row.reasons for row in graph.explain()}
    assert rows["conv"] == rows["scale"] == {"no rule for a layer it meets": 4}


def test_rule_of_the_user_lets_it_be_pruned(tables):
    rules.register_rule(Scale, ScaleRule())
    model = scaled()
    graph = tracing.trace(model)
    np.testing.assert_array_equal(
        graph.layer_units("scale"), graph.layer_units("conv")
    )
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("conv")[[0, 2]]] = False
    small = compaction.compact(model, graph, keep)
    assert small.get_layer("scale").width == 2
    np.testing.assert_array_equal(
        small.get_layer("scale").scale,
        model.get_layer("scale").scale.numpy()[[1, 3]],
    )
    assert costs.cost(model, graph, keep).params == small.count_params()


WRONG_OUTPUTS = {
    "none at all": lambda node: None,
    "none": lambda node: [],
    "too many": lambda node: [node.inputs[0]] * 2,
    "another rank": lambda node: [node.channels()],
    "another width": lambda node: [node.inputs[0][..., :3]],
    "no numbers": lambda node: [node.inputs[0] * 0.5],
    "no array": lambda node: [[[[1, 2, 3, 4]]]],
}


@pytest.mark.parametrize("name", WRONG_OUTPUTS)
def test_outputs_of_a_rule_must_fit(tables, name):
    class Wrong(ScaleRule):
        def outputs(self, node):
            return WRONG_OUTPUTS[name](node)

    rules.register_rule(Scale, Wrong())
    with pytest.raises(
        ValueError, match=r"`outputs` of a rule must.*from Wrong .*'scale'.*4\)"
    ):
        tracing.trace(scaled())


WRONG_AXES = {
    "no such attribute": lambda units: {"scales": (units,)},
    "no variable": lambda units: {"width": (units,)},
    "another rank": lambda units: {"scale": (None, units)},
    "another length": lambda units: {"scale": (units[:3],)},
    "no tuple": lambda units: {"scale": units},
    "no axes": lambda units: {"scale": None},
    "several axes in one": lambda units: {"scale": (units[None],)},
}


@pytest.mark.parametrize("name", WRONG_AXES)
def test_axes_of_a_rule_must_fit(tables, name):
    class Wrong(ScaleRule):
        def axes(self, node):
            return WRONG_AXES[name](node.channels())

    rules.register_rule(Scale, Wrong())
    with pytest.raises(
        ValueError, match=r"`axes` of a.*from Wrong .*'scale', .*'scale': \(4"
    ):
        tracing.trace(scaled())


def test_axes_of_a_rule_are_a_dict(tables):
    class Wrong(ScaleRule):
        def axes(self, node):
            return None

    rules.register_rule(Scale, Wrong())
    with pytest.raises(ValueError, match="`axes` of a.*dict.* None from Wrong"):
        tracing.trace(scaled())


class Pair(layers.Layer):
    """Two matrices, with hidden units that no tensor carries."""

    def build(self, shape):
        self.first = self.add_weight(shape=(shape[-1], 5))
        self.second = self.add_weight(shape=(5, 6))

    def call(self, inputs):
        return inputs @ self.first @ self.second


class PairRule(rules.Rule):
    def outputs(self, node):
        return [node.new(6)]

    def axes(self, node):
        hidden = node.new(5)
        return {
            "first": (node.channels(), hidden),
            "second": (hidden, node.outputs[0]),
        }


def test_units_that_no_tensor_carries_stay(tables):
    rules.register_rule(Pair, PairRule())
    inputs = keras.Input((3,))
    x = Pair()(layers.Dense(4)(inputs))
    graph = tracing.trace(keras.Model(inputs, layers.Dense(2)(x)))
    assert graph.reasons.count("inside of one layer") == 5
    assert graph.prunable.sum() == 4 + 6


def test_kernels_of_a_rule_must_be_among_its_axes(tables):
    class Wrong(ScaleRule):
        kernels = ("kernel",)

    rules.register_rule(Scale, Wrong())
    with pytest.raises(ValueError, match="Received: 'kernel': None from Wro"):
        tracing.trace(scaled())


def lora(layer):
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))


@pytest.mark.parametrize(
    "change", [lora, lambda layer: layer.quantize("int8")]
)
def test_layer_of_other_variables_than_its_class_has_no_rule(change):
    inputs = keras.Input((6,))
    x = layers.Dense(5, name="before")(layers.Dense(4, name="first")(inputs))
    x = layers.Dense(3, name="changed")(x)
    model = keras.Model(inputs, layers.Dense(2, name="last")(x))
    change(model.get_layer("changed"))
    graph = tracing.trace(model)
    _, *left = (row.prunable for row in graph.explain())
    assert left == [4, 0, 0, 0]
    small = compaction.compact(model, graph, limits.thinned(graph))
    assert small.get_layer("first").units == 3


def test_rule_covers_no_subclass(tables):
    class Special(Scale):
        pass

    rules.register_rule(Scale, ScaleRule())
    assert type(rules.rule_for(Special(4))) is rules.Rule


def test_rule_may_be_replaced(tables):
    rule = ScaleRule()
    rules.register_rule(layers.Dense, rule)
    assert rules.rule_for(layers.Dense(2)) is rule


def test_rule_is_for_a_class():
    with pytest.raises(TypeError, match="`layer_class` must be a class. Rec"):
        rules.register_rule(Scale(4), ScaleRule())


@pytest.mark.parametrize("rule", [ScaleRule, None, "relu"])
def test_rule_is_an_instance(rule):
    with pytest.raises(TypeError, match="`rule` must be an instance"):
        rules.register_rule(Scale, rule)


def test_operation_of_the_same_name_elsewhere_has_no_rule():
    class Relu(keras.Operation):
        def call(self, x):
            return x + 1

    assert type(rules.rule_for(Relu())) is rules.Rule


@keras.saving.register_keras_serializable(package="tests")
class Blend(layers.Layer):
    """A layer of two tensors, with arguments that are none."""

    def call(self, x, other, shift=0.0, mask=None):
        x = x * other + shift
        return x if mask is None else x * mask


@keras.saving.register_keras_serializable(package="tests")
class Halves(layers.Layer):
    """A layer with two outputs."""

    def call(self, x, shift=0.0):
        return x / 2 + shift, x / 2 - shift


class Tie(rules.Rule):
    """Ties all inputs; every output has the units of all."""

    def __init__(self, leak):
        self.leak = leak

    def outputs(self, node):
        return [node.tie(*node.inputs)] * len(node.output_shapes)

    def leaks(self, node):
        return self.leak


def compacted(outputs_of):
    """Returns the graph of a model, compacted at a mask with all it may go."""
    inputs = keras.Input((6, 6, 2))
    x = [zoo.conv_bn(inputs, 4) for _ in range(3)]
    model = keras.Model(inputs, zoo.head(zoo.conv_bn(outputs_of(*x), 3)))
    graph = tracing.trace(model)
    keep = zoo.random_keep(graph, 0)
    small = compaction.compact(model, graph, keep)
    masked = masking.mask_model(model, graph)
    masking.set_mask(masked, graph, keep)
    np.testing.assert_array_equal(masking.get_mask(masked, graph), keep)
    again = compaction.compact(masked)
    assert costs.cost(small) == costs.cost(again)
    assert costs.cost(small) == costs.cost(model, graph, keep)
    return graph


@pytest.mark.parametrize(
    "outputs_of",
    [
        lambda x, y, z: Blend()(x, y),
        lambda x, y, z: Blend()(x, y, shift=0.5),
        lambda x, y, z: Blend()(x, other=y, shift=0.5, mask=z),
        lambda x, y, z: Blend()(other=y, x=x, mask=z),
        lambda x, y, z: keras.Sequential([Scale(4), Scale(4)])(x),
    ],
)
def test_rule_for_a_layer_of_several_tensors(tables, outputs_of):
    rules.register_rule(Blend, Tie(leak=True))
    rules.register_rule(Scale, ScaleRule())
    assert compacted(outputs_of).prunable.sum() >= 4 + 3


def test_calls_of_one_layer_with_other_arguments(tables):
    def twice(x, y, z):
        blend = Blend()
        return blend(blend(x, y), z, shift=0.5)

    rules.register_rule(Blend, Tie(leak=True))
    assert compacted(twice).prunable.sum() == 4 + 3


@pytest.mark.parametrize("shift, prunable", [(0.0, 4 + 3), (0.5, 3)])
def test_rule_for_a_layer_of_several_outputs(tables, shift, prunable):
    def halves(x, y, z):
        a, b = Halves()(x, shift=shift)
        return a * b + y

    rules.register_rule(Halves, Tie(leak=shift != 0))
    graph = compacted(halves)
    assert graph.prunable.sum() == prunable


def test_node_ties_over_the_other_axes():
    inputs = keras.Input((4, 4, 2))
    graph = tracing.trace(
        keras.Model(
            inputs,
            zoo.head(layers.Permute((3, 1, 2))(
                layers.Conv2D(4, 1, name="conv")(inputs)
            )),
        )
    )
    # The head averages over the rows, which are the channels now.
    rows = {row.name: row.reasons for row in graph.explain()}
    assert rows["conv"] == {"normalised across channels": 4}
