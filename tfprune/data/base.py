"""What the image sets share: their splits, batches and errors."""

from absl import logging
import tensorflow as tf
import tensorflow_datasets as tfds

from tfprune import augmentation

SPLITS = ("train", "validation", "test")


def check(split, **counts):
    """Raises a ValueError for arguments that no image set takes."""
    if split not in SPLITS:
        raise ValueError(
            f"`split` must be one of {SPLITS}. Received: split={split!r}."
        )
    for name, count in counts.items():
        if type(count) is not int or count < 1:
            raise ValueError(
                f"`{name}` must be an int of at least 1. "
                f"Received: {name}={count!r}."
            )


def builder(name, data_dir, download):
    """Returns the builder of a prepared set, for a `download` prepared here.

    Raises:
        ValueError: If no set has the name.
        FileNotFoundError: If the set is not there.
        RuntimeError: If it cannot be fetched.
    """
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


def rows(builder, split, validation, test="test"):
    """Returns a split as `tensorflow_datasets` writes it, `"train[:45000]"`.

    Args:
        builder: That of the set.
        split: One of `SPLITS`.
        validation: Number of images at the end of the training set that are
            the validation split.
        test: What the set calls its split for the test.

    Raises:
        ValueError: If `validation` is out of range.
    """
    total = builder.info.splits["train"].num_examples
    smallest = 1 if split == "validation" else 0
    fits = type(validation) is int and smallest <= validation < total
    if not fits:
        raise ValueError(
            f"`validation` must be an int in [{smallest}, {total}) for the "
            f"{split} split. Received: validation={validation!r}."
        )
    kept = total - validation
    return {
        "train": f"train[:{kept}]",
        "validation": f"train[{kept}:]",
        "test": test,
    }[split]


def batches(images, labels, batch_size, mean, std, augment, shuffle, seed):
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
