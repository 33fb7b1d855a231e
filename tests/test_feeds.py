"""Tests for tfprune.feeds."""

import keras
import numpy as np
import pytest
from keras import layers

from tfprune import compaction
from tfprune import feeds
from tfprune import limits
from tfprune import program
from tfprune import rebuilding
from tfprune import tracing


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
    small = compaction.compact(model, graph, limits.thinned(graph), verify_on=x)
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
        assert feeds.flat_inputs(model, inputs)[0] is wide
    given = feeds.flat_inputs(pair(True), {"p": wide, "n": narrow})
    assert given[0] is narrow and given[1] is wide
    more = {"a": narrow, "b": wide, "z": wide}
    assert feeds.flat_inputs(pair(), more)[1] is narrow


def test_inputs_of_other_names_are_refused():
    with pytest.raises(ValueError, match=r"\['z', 'a'\]. Received: \['a', 'b'"):
        feeds.flat_inputs(pair(), {"b": 1.0, "a": 2.0})
    with pytest.raises(ValueError, match=r"no others. Received: \['a', 'n',"):
        feeds.flat_inputs(pair(True), {"p": 1.0, "n": 2.0, "a": 3.0})
