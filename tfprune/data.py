"""Image sets as `tf.data` pipelines: the papers' splits and augmentation."""

from absl import logging
import numpy as np
from sklearn import datasets
from sklearn import model_selection
import tensorflow as tf
import tensorflow_datasets as tfds

from tfprune import augmentation

_SPLITS = ("train", "validation", "test")


def cifar10(
    split="train",
    batch_size=128,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2023, 0.1994, 0.2010),
    augment=True,
    shuffle=True,
    validation=5000,
    seed=0,
    data_dir=None,
    download=False,
):
    """Returns one split of CIFAR-10, images of [batch, 32, 32, 3].

    Normalised as for SkipNet and EigenDamage by default. The arguments and
    what comes back are those of `tfds_images`.
    """
    return tfds_images(
        "cifar10", split, batch_size, mean, std, augment, shuffle, validation,
        seed, data_dir, download,
    )


def mnist(
    split="train",
    batch_size=128,
    mean=0.1307,
    std=0.3081,
    augment=False,
    shuffle=True,
    validation=5000,
    seed=0,
    data_dir=None,
    download=False,
):
    """Returns one split of MNIST, images of [batch, 28, 28, 1].

    The arguments and what comes back are those of `tfds_images`.
    """
    return tfds_images(
        "mnist", split, batch_size, mean, std, augment, shuffle, validation,
        seed, data_dir, download,
    )


def tfds_images(
    name,
    split="train",
    batch_size=128,
    mean=0.0,
    std=1.0,
    augment=False,
    shuffle=True,
    validation=0,
    seed=0,
    data_dir=None,
    download=False,
):
    """Returns one split of an image set of `tensorflow_datasets`, in memory.

    Only the train split is shuffled and augmented, anew in every epoch: each
    iterator and each round of `repeat` begins one. What an epoch holds depends
    on nothing but `seed`, the global seed of TensorFlow, and how many epochs
    of the same data set object began before.

    Args:
        name: Of a registered or prepared set that has the splits `train` and
            `test` and images of one size.
        split: `"train"`, `"validation"` or `"test"`.
        batch_size: Images in a batch; the last batch may hold fewer.
        mean: Of a channel or of all, subtracted from pixels in [0, 1].
        std: Of a channel or of all, divides what is left.
        augment: Whether to pad by 4 black pixels, crop at random back to the
            size, and flip half of the images.
        shuffle: Whether to shuffle all images.
        validation: Number of images at the end of the training set that are
            the validation split, and are left out of the train split.
        seed: Of order and augmentation.
        data_dir: Where prepared sets lie. Defaults to that of
            `tensorflow_datasets`.
        download: Whether to fetch and prepare a set that is not in `data_dir`.

    Returns:
        `tf.data.Dataset` of images, float32 [batch, height, width, channels],
        and labels, int64 [batch], of known cardinality.

    Raises:
        ValueError: If `split`, `batch_size` or `validation` is out of range,
            or no set has the name.
        FileNotFoundError: If the set is not there.
        RuntimeError: If it cannot be fetched.
    """
    _check(split, batch_size)
    builder = _builder(name, data_dir, download)
    images, labels = builder.as_dataset(
        split=_rows(builder, split, validation),
        batch_size=-1,
        as_supervised=True,
    )
    train = split == "train"
    return _batches(
        images,
        labels,
        batch_size,
        255 * np.asarray(mean, np.float32),
        255 * np.asarray(std, np.float32),
        augment and train,
        shuffle and train,
        seed,
    )


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
    _check(split, batch_size)
    bunch = datasets.load_digits()
    rows = _stratified_rows(bunch.target)[split]
    return _batches(
        bunch.images[rows, ..., np.newaxis],
        bunch.target[rows],
        batch_size,
        mean=0.0,
        std=16.0,  # the largest pixel
        augment=False,
        shuffle=shuffle and split == "train",
        seed=seed,
    )


def _check(split, batch_size):
    if split not in _SPLITS:
        raise ValueError(
            f"`split` must be one of {_SPLITS}. Received: split={split!r}."
        )
    if type(batch_size) is not int or batch_size < 1:
        raise ValueError(
            "`batch_size` must be an int of at least 1. "
            f"Received: batch_size={batch_size!r}."
        )


def _builder(name, data_dir, download):
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise ValueError(
            "`name` must be that of a set of tensorflow_datasets, or of one in "
            f"`data_dir`. Received: name={name!r}; `tfds.list_builders()` "
            "lists them."
        ) from None
    if download and not builder.is_prepared():
        logging.info("Fetching %s into %s.", name, builder.data_dir)
        try:
            builder.download_and_prepare()
        except Exception as error:
            raise RuntimeError(
                f"The data set could not be fetched. Received: name={name!r}, "
                f"{error}; prepare it where there is a network, and pass its "
                "directory as `data_dir` (`--data_dir`)."
            ) from error
    if not builder.is_prepared():
        raise FileNotFoundError(
            f"The data set must be prepared. Received: name={name!r}, with "
            f"nothing in {builder.data_dir!r}; pass the directory that holds "
            f"{name!r} as `data_dir` (`--data_dir`), or `download=True` to "
            "fetch it there."
        )
    return builder


def _rows(builder, split, validation):
    """Returns a split as `tensorflow_datasets` writes it, `"train[:45000]"`."""
    total = builder.info.splits["train"].num_examples
    smallest = 1 if split == "validation" else 0
    if not smallest <= validation < total:
        raise ValueError(
            f"`validation` must be in [{smallest}, {total}) for the {split} "
            f"split. Received: validation={validation}."
        )
    kept = total - validation
    return {
        "train": f"train[:{kept}]",
        "validation": f"train[{kept}:]",
        "test": "test",
    }[split]


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


def _batches(images, labels, batch_size, mean, std, augment, shuffle, seed):
    """Returns the data set of `(images - mean) / std` and labels.

    Only rows are shuffled. Each batch comes with two random numbers for its
    augmentation; both streams begin again with others in every epoch.
    """
    with tf.device("CPU"):
        images, labels = tf.constant(images), tf.constant(labels, tf.int64)
    rows = tf.data.Dataset.range(len(labels))
    if shuffle:
        rows = rows.shuffle(len(labels), seed)
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)

    def load(rows, seeds):
        batch = tf.gather(images, rows)
        if augment:
            batch = augmentation.crop_and_flip(batch, seeds)
        batch = (tf.cast(batch, tf.float32) - mean) / std
        return batch, tf.gather(labels, rows)

    return (
        tf.data.Dataset.zip(rows.batch(batch_size), seeds.batch(2))
        .map(load, tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
