"""Tests for tfprune.program."""

import keras
import numpy as np
import pytest
from keras import layers

from tests import zoo
from tfprune import compaction
from tfprune import program
from tfprune import rebuilding
from tfprune import tracing


def paths(model):
    return [call.path for call in program.program(model).calls]


def test_calls_in_order_with_nested_models_unrolled():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="a"), layers.ReLU(name="b")],
        name="inner",
    )
    outer = keras.Sequential(
        [keras.Input((4,)), inner, layers.Dense(2, name="a")], name="outer"
    )
    x = keras.Input((4,))
    y = layers.Dense(4, name="first")(x)
    model = keras.Model(x, layers.Add(name="sum")([outer(y), outer(x)]))
    assert paths(model) == [
        "first",
        "outer/inner/a",
        "outer/inner/b",
        "outer/a",
        "outer/inner/a",
        "outer/inner/b",
        "outer/a",
        "sum",
    ]


def test_readers_of_each_tensor():
    x = keras.Input((4,))
    y = layers.Dense(3, name="first")(x)
    z = layers.ReLU(name="relu")(y)
    model = keras.Model(x, [layers.Add(name="sum")([y, z]), z])
    code = program.program(model)
    readers = {
        call.path: [
            reader and reader.path
            for reader in code.readers()[id(call.outputs[0])]
        ]
        for call in code.calls
    }
    assert readers == {
        "first": ["relu", "sum"],
        "relu": ["sum", None],
        "sum": [None],
    }


def test_inputs_of_a_call_hold_tensors_given_by_keyword():
    x = keras.Input((4,))
    layer = layers.MultiHeadAttention(1, 2)
    y = layers.Reshape((1, 4))(x)
    model = keras.Model(x, layer(y, value=layers.Dense(4)(y)))
    call = program.program(model).calls[-1]
    assert [tensor.shape for tensor in call.inputs] == [(None, 1, 4)] * 2


def pair(of_dict=False):
    """Returns a model of two inputs that tells them apart."""
    wide, narrow = keras.Input((5,), name="z"), keras.Input((4,), name="a")
    x = layers.Dense(3, name="wide")(wide)
    y = layers.Dense(3, name="narrow", activation="sigmoid")(narrow)
    inputs = {"p": wide, "n": narrow} if of_dict else [wide, narrow]
    return keras.Model(inputs, x * y, name="pair")


def single():
    inputs = keras.Input((5,), name="x")
    return keras.Model(inputs, layers.Dense(3)(inputs), name="single")


NESTED_CALLS = {
    "list": lambda wide, narrow: pair()([wide, narrow]),
    "list by keyword": lambda wide, narrow: pair()(inputs=[wide, narrow]),
    "names": lambda wide, narrow: pair()({"z": wide, "a": narrow}),
    "other names": lambda wide, narrow: pair()(
        {"a": narrow, "b": wide, "z": wide}
    ),
    "dict": lambda wide, narrow: pair(True)({"p": wide, "n": narrow}),
    "other order": lambda wide, narrow: pair(True)({"n": narrow, "p": wide}),
    "dict by keyword": lambda wide, narrow: pair(True)(
        inputs={"p": wide, "n": narrow}
    ),
    "one by name": lambda wide, narrow: single()({"x": wide}),
    "one of a list": lambda wide, narrow: single()([wide]),
    "one by keyword": lambda wide, narrow: single()(inputs=wide),
    "sequential": lambda wide, narrow: keras.Sequential(
        [keras.Input((5,)), layers.Dense(3)]
    )(inputs=wide, training=False),
}


@pytest.mark.parametrize("name", NESTED_CALLS)
def test_nested_model_is_called_as_keras_does(name):
    inputs = keras.Input((6,))
    wide = layers.Dense(5, name="to_wide", activation="relu")(inputs)
    narrow = layers.Dense(4, name="to_narrow")(inputs)
    x = NESTED_CALLS[name](wide, narrow)
    model = keras.Model(inputs, layers.Dense(2)(x))
    x = np.random.normal(size=(7, 6)).astype("float32")
    code = program.program(model)
    values = {id(code.inputs[0]): x}
    program.replay(
        code.calls, values, lambda call, *a, **k: call.layer(*a, **k)
    )
    expected = model(x)
    np.testing.assert_allclose(values[id(code.outputs)], expected, rtol=1e-5)
    np.testing.assert_allclose(
        rebuilding.duplicate(model)(x), expected, rtol=1e-5
    )
    graph = tracing.trace(model)
    small = compaction.compact(model, graph, graph.thinned(), verify_on=x)
    assert small.get_layer("to_wide").units == 4


def test_nested_model_of_another_rank_is_refused():
    inputs = keras.Input((5, 1))
    model = keras.Model(inputs, single()(inputs))
    with pytest.raises(
        ValueError, match=r"rank.*\(None, 5, 1\) for input 'x' of .*'single'"
    ):
        program.program(model)


def test_inputs_lie_flat_as_keras_takes_them():
    wide, narrow = np.ones((1, 5)), np.ones((1, 4))
    for model, inputs in [
        (pair(), (wide, narrow)),
        (pair(), {"a": narrow, "z": wide}),
        (single(), wide),
    ]:
        assert program.flat_inputs(model, inputs)[0] is wide
    given = program.flat_inputs(pair(True), {"p": wide, "n": narrow})
    assert given[0] is narrow and given[1] is wide
    more = {"p": wide, "n": narrow, "a": None}
    assert program.flat_inputs(pair(True), more) == given


def test_inputs_of_other_names_are_refused():
    with pytest.raises(ValueError, match=r"\['z', 'a'\]. Received: \['a', 'b'"):
        program.flat_inputs(pair(), {"b": 1.0, "a": 2.0})


def test_sequential_reads_like_functional():
    model = zoo.sequential()
    code = program.program(model)
    assert [call.layer for call in code.calls] == model.layers
    assert code.inputs[0].shape == (None, 12, 4)
    assert code.outputs.shape == (None, 2)


def test_replay_computes_the_model():
    model = zoo.network("nested")
    code = program.program(model)
    images = np.random.rand(2, 8, 8, 3).astype("float32")
    values = {id(code.inputs[0]): images}
    program.replay(
        code.calls, values, lambda call, *a, **k: call.layer(*a, **k)
    )
    np.testing.assert_allclose(
        values[id(code.outputs)], model(images), rtol=1e-6
    )


def test_layers_by_path():
    found = program.layers_by_path(zoo.nested())
    kinds = [type(layer) for path, layer in found.items() if "/" in path]
    assert kinds.count(layers.Conv2D) == 2 and keras.Sequential not in kinds
    assert all(path.endswith(layer.name) for path, layer in found.items())


def test_subclassed_model_is_refused():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="Functional or Sequential.*d: Subcl"):
        program.program(Subclassed())


class OwnStep(keras.Model):
    """A Functional model that trains in its own way."""

    def __init__(self, **kwargs):
        inputs = keras.Input((4,))
        hidden = layers.Dense(3, name="hidden")(inputs)
        super().__init__(inputs, layers.Dense(2, name="out")(hidden), **kwargs)

    def train_step(self, data):
        return super().train_step(data)


class OwnCall(OwnStep):
    """One that computes something else than its graph."""

    def call(self, x):
        return super().call(x) * 2


class OwnSequentialCall(keras.Sequential):
    def call(self, x, training=None, mask=None):
        return super().call(x) * 2


def test_subclass_without_a_call_of_its_own_is_read():
    model = OwnStep()
    assert paths(model) == ["hidden", "out"]
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(rebuilding.duplicate(model)(x), model(x))


@pytest.mark.parametrize(
    "make",
    [
        OwnCall,
        lambda: OwnSequentialCall([keras.Input((4,)), layers.Dense(3)]),
    ],
)
def test_subclass_with_a_call_of_its_own_is_refused(make):
    with pytest.raises(ValueError, match="its own `call`, cannot be read"):
        program.program(make())


def test_nested_model_with_a_call_of_its_own_is_a_layer_without_a_rule():
    inputs = keras.Input((4,))
    x = OwnCall(name="own")(layers.Dense(4, name="first")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="last")(x))
    assert paths(model) == ["first", "own", "last"]
    assert not tracing.trace(model).prunable.any()


def test_unbuilt_sequential_is_refused():
    model = keras.Sequential([layers.Dense(2)], name="net")
    with pytest.raises(ValueError, match="unbuilt 'net'.*keras.Input"):
        program.program(model)


@pytest.mark.parametrize("thing", [None, [1], layers.Dense(3)])
def test_other_objects_are_refused(thing):
    with pytest.raises(ValueError, match="must be a keras.Model of Keras 3"):
        program.program(thing)
