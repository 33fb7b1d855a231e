"""The digits of scikit-learn, which need no download."""

import numpy as np
from sklearn import datasets
from sklearn import model_selection

from tfprune.data import base


def digits(split="train", batch_size=64, shuffle=True, seed=0):
    """Returns one split of the 8x8 digits of scikit-learn, scaled to [0, 1].

    The 1,797 images are split into 1,077 for training, 270 for validation and
    450 for the test, each with the same mixture of digits, whatever the seed.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        batch_size: Images in a batch; the last batch may hold fewer.
        shuffle: Whether to shuffle the train split, anew in every epoch.
        seed: Of the order.

    Returns:
        `tf.data.Dataset` of images, float32 [batch, 8, 8, 1], and labels,
        int64 [batch], of known cardinality.

    Raises:
        ValueError: If `split` or `batch_size` is out of range.
    """
    base.check(split, batch_size=batch_size)
    bunch = datasets.load_digits()
    rows = _stratified_rows(bunch.target)[split]
    return base.batches(
        bunch.images[rows, ..., np.newaxis],
        bunch.target[rows],
        batch_size,
        mean=0.0,
        std=16.0,  # the largest pixel
        augment=False,
        shuffle=shuffle and split == "train",
        seed=seed,
    )


def _stratified_rows(labels):
    """Returns the rows of each split of the digits."""
    rows = np.arange(len(labels))
    rest, test = model_selection.train_test_split(
        rows, test_size=450, stratify=labels, random_state=0
    )
    train, validation = model_selection.train_test_split(
        rest, test_size=270, stratify=labels[rest], random_state=0
    )
    return {"train": train, "validation": validation, "test": test}
