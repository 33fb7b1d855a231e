"""What tests of data sets read."""

import numpy as np


def join(dataset):
    """Returns all images and all labels of a finite data set."""
    batches = [(images.numpy(), labels.numpy()) for images, labels in dataset]
    return [np.concatenate(part) for part in zip(*batches, strict=True)]


def assert_same(dataset, other):
    for part, other_part in zip(join(dataset), join(other), strict=True):
        np.testing.assert_array_equal(part, other_part)
