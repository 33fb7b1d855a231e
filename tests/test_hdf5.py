"""Tests for tfprune.hdf5."""

import h5py
import keras
from keras import layers
import numpy as np
import pytest

from tests import zoo
from tfprune import hdf5
from tfprune import models


def test_names_and_widths_are_those_of_the_code_of_aofp(tmp_path):
    model = models.lenet5()
    hdf5.save(model, tmp_path / "model.hdf5")
    with h5py.File(tmp_path / "model.hdf5") as file:
        assert sorted(file) == sorted(
            [
                "conv1+kernel",
                "conv2+kernel",
                *(
                    f"conv{n}_bn+{name}"
                    for n in (1, 2)
                    for name in ("beta", "gamma", "moving_mean")
                ),
                *(f"conv{n}_bn+moving_variance" for n in (1, 2)),
                "dense1+bias",
                "dense1+kernel",
                "deps",
                "logits+bias",
                "logits+kernel",
            ]
        )
        assert file["deps"][()].tolist() == [20, 50]
        np.testing.assert_array_equal(
            file["conv2+kernel"], model.get_layer("conv2").kernel
        )


def test_widths_are_those_of_all_convolutions(tmp_path):
    model = models.resnet20("projection", width=0.5)
    hdf5.save(model, tmp_path / "model.hdf5")
    with h5py.File(tmp_path / "model.hdf5") as file:
        widths = file["deps"][()].tolist()
    # A stem, six convolutions in each stage, and two projections.
    assert sorted(widths) == [8] * 7 + [16] * 7 + [32] * 7


@pytest.mark.parametrize("name", ["nested", "siamese", "transposed"])
def test_all_weights_come_back(tmp_path, name):
    model = zoo.network(name)
    hdf5.save(model, tmp_path / "model.hdf5")
    found = hdf5.read(tmp_path / "model.hdf5")
    assert len(found) == len(model.weights)
    for variable in model.weights:
        np.testing.assert_array_equal(found[variable.path], variable)


def test_file_is_replaced_whole(tmp_path):
    path = tmp_path / "model.hdf5"
    hdf5.save(models.lenet5(), path)
    hdf5.save(models.lenet5((8, 8, 1), kernel_size=3, padding="same"), path)
    assert hdf5.read(path)["conv1/kernel"].shape == (3, 3, 1, 20)
    assert [x.name for x in tmp_path.iterdir()] == ["model.hdf5"]


def test_paths_must_differ(tmp_path):
    inputs = keras.Input((3,))
    twins = [
        keras.Sequential([keras.Input((3,)), layers.Dense(3, name="same")])
        for _ in range(2)
    ]
    model = keras.Model(inputs, twins[1](twins[0](inputs)))
    for twin in twins:
        for variable in twin.weights:
            variable._path = f"same/{variable.name}"
    with pytest.raises(ValueError, match="paths of their own.*'same/kernel'"):
        hdf5.save(model, tmp_path / "model.hdf5")
    assert not list(tmp_path.iterdir())
