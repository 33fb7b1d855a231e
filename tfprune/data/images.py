"""Image sets of `tensorflow_datasets` that fit in memory."""

import numpy as np

from tfprune.data import base


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
    base.check(split, batch_size=batch_size)
    builder = base.builder(name, data_dir, download)
    images, labels = builder.as_dataset(
        split=base.rows(builder, split, validation),
        batch_size=-1,
        as_supervised=True,
    )
    train = split == "train"
    return base.batches(
        images,
        labels,
        batch_size,
        255 * np.asarray(mean, np.float32),
        255 * np.asarray(std, np.float32),
        augment and train,
        shuffle and train,
        seed,
    )
