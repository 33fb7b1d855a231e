"""Tests for tfprune.serving."""

import json

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tests import test_exporting
from tfprune import exporting
from tfprune import serving


def test_loads_files_versions_and_folders(tmp_path):
    model = test_exporting.two_headed()
    exporting.save_keras(model, tmp_path / "model.keras")
    for version in [9, 10]:
        exporting.export(model, tmp_path, version=version)
    inputs = [tf.random.normal((3, 9, 5, 2)), tf.random.normal((3, 4))]
    expected = model(inputs)
    for given, found in [
        ("model.keras", "model.keras"), ("9", "9"), (".", "10")
    ]:
        served = serving.load(tmp_path / given)
        assert served.path == tmp_path / found
        left, right = served.input
        assert left.shape.as_list() == [None, None, None, 2]
        assert right.shape.as_list() == [None, 4]
        assert served.outputs["sum"].shape.as_list() == [None, 3]
        assert served.params == model.count_params()
        outputs = served.call(inputs)
        np.testing.assert_allclose(outputs["sum"], expected[0], atol=1e-5)
        np.testing.assert_allclose(outputs["product"], expected[1], atol=1e-5)


def test_loaded_input_order_is_the_models(tmp_path):
    b, a = keras.Input((4,), name="b"), keras.Input((4,), name="a")
    model = keras.Model([b, a], layers.Subtract(name="d")([b, a]))
    served = serving.load(exporting.export(model, tmp_path))
    outputs = served.call([tf.ones((1, 4)), tf.zeros((1, 4))])
    np.testing.assert_array_equal(outputs["d"], np.ones((1, 4)))


class Doubling(tf.Module):
    def __init__(self):
        self.factors = tf.Variable(2 * tf.ones(4))

    @tf.function(input_signature=[tf.TensorSpec((None, 4), name="x")])
    def double(self, x):
        return {"y": self.factors * x}


def test_loads_a_saved_model_of_others(tmp_path):
    module = Doubling()
    tf.saved_model.save(module, tmp_path, signatures=module.double)
    served = serving.load(tmp_path)
    assert served.input.shape.as_list() == [None, 4]
    assert served.params == 4
    outputs = served.call(np.ones((3, 4), "float32"))
    np.testing.assert_array_equal(outputs["y"], 2 * np.ones((3, 4)))


def test_saved_model_without_a_signature(tmp_path):
    tf.saved_model.save(tf.Module(), tmp_path)
    with pytest.raises(ValueError, match="called by its signature"):
        serving.load(tmp_path)


@pytest.mark.parametrize("name", ["", "absent", "absent.keras", "notes"])
def test_load_of_nothing(tmp_path, name):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "1").write_text(json.dumps({}))
    with pytest.raises(FileNotFoundError, match="A model is a `.keras` file"):
        serving.load(tmp_path / name)
