"""The README's examples run as they stand."""

import pathlib
import re

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tfprune import models
import tfprune

README = pathlib.Path(__file__).parents[1] / "README.md"


def example(section):
    """Returns the Python code of a section of the README."""
    text = README.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return "".join(re.findall(r"```python\n(.*?)```", text, re.S))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_whole_run(folder):
    names = {}
    exec(example("From Python"), names)
    dense = tfprune.models.lenet5((8, 8, 1), kernel_size=3, padding="same")
    small = tfprune.cost(names["small"])
    assert small.macs <= 0.4 * tfprune.cost(dense).macs
    left = [x.name for x in (folder / "savedmodels/digits").iterdir()]
    table = README.read_text().split("A run leaves in its folder:")[1]
    for name in re.findall(r"`([\w./]+)`", table.split("\n\n")[1]):
        assert name.rstrip("/") in left


def test_search_and_fine_tuning():
    names = {"keras": keras, "tfprune": tfprune}
    exec(example("Methods"), names)
    model = tfprune.models.lenet5((8, 8, 1), kernel_size=3, padding="same")
    dataset, loss_fn = tfprune.data.digits(), tfprune.losses.CrossEntropy()
    method = names["method"]
    method.check(model, dataset, loss_fn)
    assert [type(x).__name__ for x in method.stages] == ["AOFP", "FineTuning"]
    names["composed"].check(model, dataset, loss_fn)
    text = README.read_text().split("\n## Methods\n")[1].split("\n## ")[0]
    for name in re.findall(r"^\| `(\w+)` \|", text, re.M):
        assert issubclass(
            getattr(tfprune.methods, name), tfprune.methods.Method
        )


def test_table_of_all_models_is_that_of_the_command():
    written = (README.parent / "docs" / "zoo.md").read_text().splitlines()
    rows = [line for line in written if line.startswith("|")]
    assert len(rows) == 2 + 40
    assert "\n".join(rows) in README.read_text()


def test_ten_lines(folder):
    images = tf.random.normal([4, 8, 8, 3])
    names = {
        "model": models.resnet20(input_shape=(8, 8, 3), classes=3),
        "dataset": tf.data.Dataset.from_tensors((images, [0, 1, 2, 0])),
        "loss_fn": keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction=None
        ),
    }
    exec(example("The API in ten lines"), names)
    assert names["small"].count_params() < names["model"].count_params()
    assert (folder / "savedmodels/name/1/saved_model.pb").exists()


def test_what_goes_and_what_stays():
    model = models.resnet20()
    names = {"model": model, "tfprune": tfprune, "np": np}
    exec(example("What goes, and what stays"), names)
    small = tfprune.cost(model, names["graph"], names["keep"])
    assert small.params <= 0.5 * tfprune.cost(model).params
    widths = {
        row["name"]: row["channels_after"]
        for row in names["graph"].widths(names["keep"])
    }
    assert widths["conv1"] == 16
    assert max(widths[f"block1_{i}_conv1"] for i in (1, 2, 3)) <= 8


def test_parts_of_your_own():
    names = {"keras": keras, "tfprune": tfprune}
    exec(example("Parts of your own"), names)
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(6, 3, activation="relu")(inputs)
    x = layers.GlobalAveragePooling2D()(names["Scale"]()(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    graph = tfprune.trace(model)
    assert graph.prunable.sum() == 6
    images = np.random.normal(size=(5, 4, 4, 2)).astype("float32")
    scores = tfprune.score(
        tfprune.mask_model(model, graph),
        graph,
        names["LargestActivation"](),
        tf.data.Dataset.from_tensors((images, [0, 1, 2, 0, 1])),
        tfprune.losses.CrossEntropy(),
    )
    (scores,) = scores.values()
    outputs = np.max(model.layers[1](images), axis=(1, 2)).mean(axis=0)
    units = graph.layer_units(model.layers[1].name)
    np.testing.assert_allclose(scores[units], outputs, rtol=1e-5)
    keep = np.ones(graph.num_units, bool)
    keep[units[:4]] = False
    small = tfprune.compact(model, graph, keep)
    assert small.layers[2].factors.shape == (2,)
