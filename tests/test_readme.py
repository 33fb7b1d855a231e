"""The README's API example runs as it stands."""

import pathlib
import re

import keras
import tensorflow as tf

from tests import zoo

README = pathlib.Path(__file__).parents[1] / "README.md"


def test_api_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = tf.random.normal([4, 8, 8, 3])
    names = {
        "model": zoo.network("residual_padded"),
        "dataset": tf.data.Dataset.from_tensors((images, [0, 1, 2, 0])),
        "loss_fn": keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction=None
        ),
    }
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
    exec(code, names)
    assert names["small"].count_params() < names["model"].count_params()
    assert (tmp_path / "savedmodels/name/1/saved_model.pb").exists()
