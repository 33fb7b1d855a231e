"""Tests for tfprune.data.scikit_learn."""

import keras
import numpy as np

from tests.data import reading
from tfprune import data


def test_digits_splits_are_stratified_and_disjoint():
    splits = {
        name: reading.join(data.digits(name, shuffle=False))
        for name in ("train", "validation", "test")
    }
    sizes = {name: len(labels) for name, (_, labels) in splits.items()}
    assert sizes == {"train": 1077, "validation": 270, "test": 450}
    for images, labels in splits.values():
        assert images.shape[1:] == (8, 8, 1)
        assert images.min() == 0 and images.max() == 1
        share = np.bincount(labels) / len(labels)
        np.testing.assert_allclose(share, 0.1, atol=0.01)
    every = np.concatenate([images for images, _ in splits.values()])
    assert len(np.unique(every, axis=0)) == 1797


def test_digits_splits_do_not_depend_on_seeds():
    images, _ = reading.join(data.digits("test", seed=1))
    keras.utils.set_random_seed(1)
    other, _ = reading.join(data.digits("test", seed=2))
    np.testing.assert_array_equal(images, other)


def test_digits_are_shuffled_anew_in_every_epoch():
    first, second = np.split(reading.join(data.digits().repeat(2))[1], 2)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first), np.sort(second))
    assert int(data.digits(batch_size=64).cardinality()) == 17
