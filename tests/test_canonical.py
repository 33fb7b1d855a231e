"""Tests for tfprune.canonical."""

import abc
import dataclasses
import enum
import functools
import json
import os
import pathlib
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import odd
from tests import zoo
from tfprune import canonical
from tfprune import constructors
from tfprune import program

ROOT = pathlib.Path(__file__).parent.parent


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Passing:
    """Takes keywords that another class has named."""

    def __init__(self, x=0, **kwargs):
        self.x = x
        self.y = kwargs.pop("y")


class Kept:
    """Keeps one argument to himself, and finds another value later."""

    def __init__(self, public, private=1):
        self.public = public
        self._private = private
        self.found = object()

    def method(self):
        return self.public


class Slotted:
    __slots__ = ("first",)

    def __init__(self, first):
        self.first = first


class Renamed:
    def __init__(self, gamma):
        self.g = gamma


class Shadowed:
    """Has a method of the name of an argument."""

    def __init__(self, scale):
        self._kept_elsewhere = scale

    def scale(self):
        return self._kept_elsewhere


class Collected:
    def __init__(self, *weights):
        self.weights = weights


class Filled:
    """Has no constructor; is filled from outside."""

    def with_alpha(self, alpha):
        self.alpha = alpha
        return self


@keras.saving.register_keras_serializable(package="tests.canonical")
class Focal(keras.losses.Loss):
    """A loss whose `get_config` is that of Keras."""

    def __init__(self, gamma):
        super().__init__()
        self.gamma = gamma


class Scale(keras.layers.Layer):
    """A layer whose `get_config` is that of Keras."""

    def __init__(self, initial, **kwargs):
        super().__init__(**kwargs)
        self.initial = initial


def power(exponent, shift=0):
    return lambda labels, outputs: outputs**exponent + shift


def nested(value):
    def outer(x):
        return [y + value for y in x]

    def twice(x):
        return outer(outer(x))

    return twice


def factorial(last):
    def recursive(n):
        return last if n == 0 else n * recursive(n - 1)

    return recursive


def local_class(value):
    class Local(abc.ABC):
        start = value

        def __init__(self):
            super().__init__()

        @property
        def doubled(self):
            return Local.start + value

        @staticmethod
        def half():
            return value / 2

    return Local()


def local_dataclass(value):
    @dataclasses.dataclass
    class Data:
        first: int = value
        second: list = dataclasses.field(default_factory=list)

    return Data()


def local_enum(value):
    class Local(enum.Enum):
        ONE = value

    return Local.ONE


def graph_of(value):
    return tf.function(lambda x: x + value)


def rich():
    """Returns something of every kind."""
    return {
        "sets": [{"a", "b", "c"}, frozenset(range(50)), {1: Colour.RED}],
        "plain": [1 + 2j, slice(1, None), range(3), pathlib.Path("a/b"), ...],
        "arrays": [np.arange(3.0), np.float32(1), tf.constant(["a"])],
        "names": [np.exp, np.sum, len, str.upper, np, tf.float32],
        "functions": [power(2), nested(Colour.BLUE), factorial(3), graph_of(1)],
        "constants": lambda x: x in {"a", "b", "c"} or x in ("d", "e"),
        "bound": [Kept(1).method, [].append, functools.partial(np.sum, axis=1)],
        "classes": [local_class(1), local_dataclass(1), local_enum(1)],
        "keras": [
            keras.layers.Dense(3, activation=power(2)),
            keras.losses.Huber(2.0),
            keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1, 9)),
        ],
    }


@pytest.mark.parametrize("seed", ["0", "1"])
def test_same_text_in_every_process(seed):
    script = (
        "import json; from tests import test_canonical as t; "
        "print(json.dumps(t.canonical.describe(t.rich())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == json.dumps(canonical.describe(rich()))


@pytest.mark.parametrize(
    "value, text",
    [
        (None, None),
        (True, True),
        (0.1, 0.1),
        ((1, "a"), [1, "a"]),
        ({"a": (1,)}, {"a": [1]}),
        ({2: "a", 1: "b"}, {"dict": [[2, "a"], [1, "b"]]}),
        ({3, 1, 2}, {"set": [1, 2, 3]}),
        (1 + 2j, {"builtins.complex": [[1.0, 2.0]]}),
        (slice(1, 2), {"builtins.slice": [[1, 2, None]]}),
        (range(3), {"builtins.range": [[0, 3, 1]]}),
        (pathlib.PurePosixPath("a/b"), {"pathlib.PurePosixPath": [["a", "b"]]}),
        (Colour.RED, {"tests.test_canonical.Colour": [[1]]}),
        (np.float64(0.5), 0.5),
        (np.int32(3), 3),
        (tf.constant(2.0), 2.0),
        (np.array([{"a": 1}], object), [{"a": 1}]),
        (np.exp, "numpy.exp"),
        (keras.Model, "keras.src.models.model.Model"),
        (rich, "tests.test_canonical.rich"),
        (Kept.method, "tests.test_canonical.Kept.method"),
        (Kept(3, [4]), {
            "tests.test_canonical.Kept": {"public": 3, "private": [4]}
        }),
    ],
)
def test_forms(value, text):
    assert canonical.describe(value) == text


@pytest.mark.parametrize(
    "make, one, other",
    [
        (lambda x: np.full(3, x), 1, 2),
        (lambda x: np.array([1, 2], x), "int32", "int64"),
        (lambda x: np.array(x), ["a"], ["b"]),
        (tf.constant, [b"a"], [b"b"]),
        (bytes, [1], [2]),
        (lambda x: slice(x, 5), 1, 2),
        (lambda x: range(0, 9, x), 1, 2),
        (Colour, 1, 2),
        (complex, 1, 2),
        (Kept, 1, 2),
        (lambda x: Kept(0, x), 1, 2),
        (lambda x: Kept(x).method, 1, 2),
        (Slotted, 1, 2),
        (Collected, 1, 2),
        (lambda x: Filled().with_alpha(x), 1, 2),
        (power, 1, 2),
        (lambda x: power(1, x), 1, 2),
        (lambda x: Kept(power(x)), 1, 2),
        (nested, 1, 2),
        (factorial, 1, 2),
        (local_class, 1, 2),
        (local_dataclass, 1, 2),
        (local_enum, 1, 2),
        (graph_of, 1, 2),
        (Focal, 1, 2),
        (Scale, 1, 2),
        (lambda x: Scale(1, dtype=x), "float32", "float16"),
        (keras.losses.Huber, 1.0, 2.0),
        (lambda x: keras.layers.Lambda(power(x)), 1, 2),
        (lambda x: keras.layers.Dense(3, activation=power(x)), 1, 2),
        (lambda x: keras.layers.Dense(3, dtype=x), "float32", "mixed_float16"),
        (
            lambda x: keras.layers.TimeDistributed(keras.layers.Dense(x)),
            1,
            2,
        ),
        (lambda x: functools.partial(np.sum, axis=x), 1, 2),
        (lambda x: functools.cache(power(x)), 1, 2),
        (lambda x: Passing(y=x), 1, 2),
        (lambda x: np.random.default_rng(x).normal, 1, 2),
    ],
)
def test_values_differ(make, one, other):
    text, again = (canonical.describe(make(one)) for _ in range(2))
    assert json.dumps(text) == json.dumps(again)
    assert text != canonical.describe(make(other))


def test_functions_differ_by_what_is_written_in_them():
    written = [
        lambda x: x + 1,
        lambda x: x + 2,
        lambda x: x - 1,
        lambda x: abs(x),
        lambda x: len(x),
        lambda x, y=1: x + 1,
        lambda x, y=2: x + 1,
        lambda x, *, y=2: x + 1,
        lambda x: [y + 1 for y in x],
        lambda x: [y + 2 for y in x],
    ]
    texts = [json.dumps(canonical.describe(each)) for each in written]
    assert len(set(texts)) == len(written)


def test_function_is_the_same_in_another_line():
    one, other = {}, {}
    exec("f = lambda x: x + 1", one)
    exec("\n\n\nf = lambda x: x + 1", other)
    assert canonical.describe(one["f"]) == canonical.describe(other["f"])


def test_code_of_the_main_module_counts(monkeypatch):
    module = sys.modules["__main__"]

    def named(body):
        exec(f"def loss(x): return {body}", vars(module))
        return canonical.describe(module.loss)

    monkeypatch.setattr(module, "loss", None, raising=False)
    assert named("x + 1") == named("x + 1")
    assert named("x + 1") != named("x + 2")


def test_value_inside_itself():
    values = ["a"]
    values.append({"b": values})
    assert canonical.describe(values) == ["a", {"b": "2 up"}]
    kept = Kept(None)
    kept.public = kept
    (settings,) = canonical.describe(kept).values()
    assert settings["public"] == "1 up"


def test_random_defaults_do_not_count():
    texts = set()
    for seed in (1, 2):
        random.seed(seed)
        layer = keras.layers.Dense(3, kernel_initializer="he_normal")
        texts.add(json.dumps(canonical.describe(layer)))
    assert len(texts) == 1


@pytest.mark.parametrize(
    "value, message",
    [
        (Renamed(2.0), "object of Renamed that keeps no attribute 'gamma'"),
        (Shadowed(2.0), "object of Shadowed that keeps no attribute 'scale'"),
        ([Kept(Renamed(1))], "object of Renamed that keeps no attribute"),
        ((x for x in ()), "cannot pickle 'generator' object"),
    ],
)
def test_what_cannot_be_described_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        canonical.describe(value)


@pytest.mark.parametrize("name", [*zoo.NETWORKS, *odd.MODELS])
def test_every_layer_can_be_described(name):
    make = zoo.network if name in zoo.NETWORKS else odd.built
    for _, layer, *_ in program.program(make(name)).calls:
        json.dumps(canonical.describe(constructors.arguments(layer)))
