"""Tests for tfprune.runs."""

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tfprune import runs


def test_claimed_folder_is_that_of_one_configuration(tmp_path):
    assert not runs.is_finished(tmp_path / "run", "steps = 1")
    assert list(tmp_path.iterdir()) == []
    with runs.claimed(tmp_path / "run", "steps = 1") as own:
        assert own == tmp_path / "run"
    assert not runs.is_finished(own, "steps = 1")
    with pytest.raises(ValueError, match="same configuration") as error:
        runs.is_finished(own, "steps = 2")
    assert "-steps = 1\n+steps = 2" in str(error.value)
    (own / "report.json").write_text("{}")
    assert runs.is_finished(own, "steps = 1")


def test_no_configuration_is_one_too(tmp_path):
    with runs.claimed(tmp_path, None):
        assert not runs.is_finished(tmp_path, None)
    with pytest.raises(ValueError, match=r"same configuration(.|\n)*\+x = 1"):
        runs.is_finished(tmp_path, "x = 1")


@pytest.mark.parametrize("name", runs.OUTPUTS)
def test_outputs_of_no_run_are_not_overwritten(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"holds {name} but no run.json"):
        runs.is_finished(tmp_path, None)


@pytest.mark.parametrize(
    "text", ["", "steps = 1", "[]", '"config"', "{}", "null", "\xff"]
)
def test_run_file_of_others_is_refused(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="whose run.json is of something el"):
        runs.is_finished(tmp_path, None)
    assert path.read_text(encoding="latin-1") == text


def test_finished_model_of_unregistered_layers(tmp_path):
    class Local(layers.Layer):
        def call(self, x):
            return 2 * x

    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Dense(3)(Local()(inputs)))
    runs.export(model, tmp_path)
    with pytest.raises(
        ValueError, match=r"(?s)that Keras can load.*'Local'.*\nRegister class"
    ):
        runs.finished_model(tmp_path)
    with keras.saving.custom_object_scope({"Local": Local}):
        again = runs.finished_model(tmp_path)
    ones = tf.ones((1, 2))
    np.testing.assert_array_equal(again(ones), model(ones))


def test_finished_run_without_its_model(tmp_path):
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(ValueError, match="no model.keras. Delete report.json"):
        runs.finished_model(tmp_path)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="must be a folder that can be written"):
        with runs.claimed(tmp_path / "file" / "run", None):
            pass


def test_function_is_called_outside_the_strategy():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        assert tf.distribute.has_strategy()
        assert runs.outside_strategy(tf.distribute.has_strategy) is False
        assert runs.outside_strategy(max, 2, 3) == 3


def test_export_again(tmp_path):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Dense(3)(inputs))
    runs.export(model, tmp_path)
    runs.export(model, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"1", "model.keras"}
