"""Tests for tfprune.targets."""

import keras
from keras import layers
import pytest

from tfprune import masking
from tfprune import models
from tfprune import program
from tfprune import targets
from tfprune import tracing


def found(model, **kwargs):
    """Returns {name: `Target`} of a model."""
    graph = tracing.trace(model, **kwargs)
    code = program.program(masking.mask_model(model, graph))
    return {target.name: target for target in targets.find(code, graph)}


def scorers(target):
    return [[call.path for call in chain] for chain in target.scorers]


def test_convolution_is_scored_by_the_next_after_its_rectifier():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, use_bias=False, name="first")(inputs)
    x = layers.ReLU(name="relu1")(layers.BatchNormalization(name="bn1")(x))
    x = layers.Conv2D(6, 3, use_bias=False, name="second")(x)
    x = layers.ReLU(name="relu2")(layers.BatchNormalization(name="bn2")(x))
    outputs = layers.Dense(3, name="last")(layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    first, second = found(model).values()
    assert [*first.gates] == ["bn1"]
    assert [call.path for call in first.carriers] == ["bn1", "relu1"]
    assert scorers(first) == [["second", "bn2", "relu2"]]
    assert (first.place, second.place) == (0, 1)
    assert scorers(second) == [["last"]]


def test_stream_is_one_target_of_all_its_readers():
    model = models.resnet20(width=0.25)
    stem = found(model)["conv1"]
    assert len(stem.units) == 4 and stem.place == 0
    readers = [chain[0] for chain in scorers(stem)]
    inside = [f"block1_{n}_conv1" for n in (1, 2, 3)]
    assert readers[:3] == inside
    assert "conv1" not in found(model, streams=False)


def test_attention_that_reads_and_writes_a_stream_scores_it():
    inputs = keras.Input((5, 4))
    stream = layers.Dense(6, name="stem")(inputs)
    for name in ("one", "two"):
        attention = layers.MultiHeadAttention(2, 3, name=name)
        stream = stream + attention(stream, stream)
    model = keras.Model(inputs, layers.Dense(2, name="out")(stream))
    first = [chain[0] for chain in scorers(found(model)["stem"])]
    assert first == ["one", "two", "out"]


@pytest.mark.parametrize("shared", [layers.Dense(4), layers.ReLU()])
def test_layer_that_is_called_twice_on_one_tensor(shared):
    inputs = keras.Input((4,))
    x = layers.Dense(5, name="read")(inputs)
    heads = [layers.Dense(2, name=name)(shared(x)) for name in ("a", "b")]
    model = keras.Model(inputs, heads)
    paths = {path for chain in scorers(found(model)["read"]) for path in chain}
    if isinstance(shared, layers.ReLU):
        assert paths == {"a", "b"}
    else:
        assert paths == {shared.name}


def test_all_that_read_units_score_them():
    inputs = keras.Input((4,))
    x = layers.Dense(5, name="read")(inputs)
    other = layers.Dense(6, name="other")(x)
    y = layers.Dense(2, name="out")(x)
    total = keras.ops.sum(other, axis=-1, keepdims=True)
    model = keras.Model(inputs, y + total)
    assert scorers(found(model)["read"]) == [["other"], ["out"]]
