"""Tests for tfprune.rebuilding."""

import keras
from keras import layers
import numpy as np
import pytest

from tests import versions
from tests import zoo
from tfprune import program
from tfprune import rebuilding


def paths(model):
    return [call.path for call in program.program(model).calls]


@pytest.mark.parametrize("name", ["nested", "siamese", "two_outputs"])
def test_duplicate_has_weights_of_its_own(name):
    model = zoo.network(name)
    again = rebuilding.duplicate(model)
    assert paths(again) == paths(model)
    for a, b in zip(model.weights, again.weights, strict=True):
        assert a is not b
        np.testing.assert_array_equal(a, b)
    before = model.weights[0].numpy()
    again.weights[0].assign_add(np.ones(before.shape))
    np.testing.assert_array_equal(model.weights[0], before)


def test_copy_trains_what_the_model_does():
    model = zoo.plain()
    first, second, *_ = (x for x in model.layers if hasattr(x, "kernel"))
    first.kernel.trainable = False
    second.trainable = False
    again = rebuilding.duplicate(model)
    expected = [weight.trainable for weight in model.weights]
    assert [weight.trainable for weight in again.weights] == expected
    count = len(again.trainable_variables)
    assert count == len(model.trainable_variables)


def test_normalization_works_after_a_copy():
    norm = layers.Normalization()
    norm.adapt(np.array([[1.0, 2.0], [3.0, 6.0]]))
    model = keras.Sequential([keras.Input((2,)), norm, layers.Dense(1)])
    x = np.array([[2.0, 5.0]], "float32")
    np.testing.assert_allclose(rebuilding.duplicate(model)(x), model(x))


def test_layer_that_cannot_be_made_again_is_named():
    class Forgetful(layers.Layer):
        def __init__(self, size):
            super().__init__(name="forgetful")

        def call(self, x):
            return x

    x = keras.Input((3,))
    model = keras.Model(x, Forgetful(2)(x))
    with pytest.raises(ValueError, match="'forgetful' of type Forgetful.*get_"):
        rebuilding.duplicate(model)


def test_weights_that_do_not_fit_the_config_are_told():
    class Growing(layers.Dense):
        def get_config(self):
            return {**super().get_config(), "units": self.units + 1}

    model = keras.Sequential([keras.Input((2,)), Growing(3, name="growing")])
    with pytest.raises(
        ValueError, match=r"'growing' of type Growing .*\(2, 3\).*\(2, 4\)"
    ):
        rebuilding.duplicate(model)


@versions.needs_keras("3.13")
def test_custom_object_of_another_thread_is_told():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Lambda(lambda x: 2 * x)(inputs))
    with pytest.raises(ValueError, match="register_keras_serializable.*one th"):
        rebuilding.duplicate(model)


def test_compiled_model_with_a_lambda_loss():
    model = zoo.network("plain")
    model.compile("sgd", loss=lambda y, p: keras.ops.mean((y - p) ** 2))
    assert paths(rebuilding.duplicate(model)) == paths(model)


class Read(layers.Layer):
    """Reads words off with the embedding of another layer."""

    def __init__(self, embedding, **kwargs):
        super().__init__(**kwargs)
        self.embedding = embedding

    def call(self, x):
        return x @ keras.ops.transpose(self.embedding.embeddings)


def test_layers_that_share_a_variable_are_refused():
    inputs = keras.Input((4,), dtype="int32")
    embedding = layers.Embedding(5, 6, name="words")
    x = Read(embedding, name="read")(layers.Dense(6)(embedding(inputs)))
    with pytest.raises(
        ValueError, match="not share.*'read' with .*'embeddings' of .*'words'"
    ):
        rebuilding.duplicate(keras.Model(inputs, x))


def test_layer_at_every_step_and_by_itself_is_refused():
    inputs = keras.Input((4, 3))
    shared = layers.Dense(3, name="shared")
    x = shared(layers.TimeDistributed(shared, name="steps")(inputs))
    with pytest.raises(ValueError, match="must not share.*'shared'"):
        rebuilding.duplicate(keras.Model(inputs, x))
