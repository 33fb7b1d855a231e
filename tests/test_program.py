"""Tests for tfprune.program."""

import keras
import numpy as np
import pytest
from keras import layers

from tests import zoo
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
