"""Tests for tfprune.data.streaming."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests import strategies
from tests.data import reading
from tfprune import data

RNG = np.random.RandomState(0)
SHAPES = [(40, 60, 3), (64, 32, 3), (33, 33, 3)]
COUNT = 18


def photo(number):
    """Returns an image whose red tells its number, and whose green is even."""
    shape = SHAPES[number % 3]
    image = np.full(shape, 10 * number, "uint8")
    image[..., 1] = 100
    image[..., 2] = np.arange(shape[1])  # Grows to the right.
    return image


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A folder with ImageNet, of which only 18 + 6 images are left."""
    folder = tmp_path_factory.mktemp("data")

    def split(numbers):
        def examples():
            for number in numbers:
                encoded = tf.io.encode_png(photo(number)).numpy()
                name = f"{number}.JPEG"
                yield {"file_name": name, "image": encoded, "label": number}

        return tf.data.Dataset.from_generator(
            examples,
            output_signature={
                "file_name": tf.TensorSpec([], tf.string),
                "image": tf.TensorSpec([], tf.string),
                "label": tf.TensorSpec([], tf.int64),
            },
        )

    tfds.dataset_builders.store_as_tfds_dataset(
        name="imagenet2012",
        version="5.1.0",
        features=tfds.features.FeaturesDict(
            {
                "file_name": tfds.features.Text(),
                "image": tfds.features.Image(),
                "label": tfds.features.ClassLabel(num_classes=1000),
            }
        ),
        split_datasets={
            "train": split(range(COUNT)),
            "validation": split(range(COUNT, COUNT + 6)),
        },
        data_dir=folder,
        download_config=tfds.download.DownloadConfig(num_shards=3),
    )
    return folder


@pytest.fixture
def imagenet(data_dir):
    def build(split="train", batch_size=4, validation=4, **settings):
        settings.setdefault("image_size", 28)
        return data.imagenet(
            split,
            batch_size,
            validation=validation,
            data_dir=data_dir,
            **settings,
        )

    return build


def test_splits_are_disjoint(imagenet):
    sets = {name: imagenet(name) for name in ("train", "validation", "test")}
    labels = {name: reading.join(part)[1] for name, part in sets.items()}
    sizes = {name: len(numbers) for name, numbers in labels.items()}
    assert sizes == {"train": 14, "validation": 4, "test": 6}
    both = np.concatenate([labels["train"], labels["validation"]])
    np.testing.assert_array_equal(np.sort(both), range(18))
    np.testing.assert_array_equal(np.sort(labels["test"]), range(18, 24))
    counts = [int(part.cardinality()) for part in sets.values()]
    assert counts == [4, 1, 2]


def test_batches(imagenet):
    images, labels = imagenet().element_spec
    assert images.shape.as_list() == [None, 28, 28, 3]
    assert labels.shape.as_list() == [None]
    assert (images.dtype, labels.dtype) == (tf.float32, tf.int64)


def test_middle_of_the_shorter_side_by_hand(imagenet):
    """Of 64 x 32 pixels, 28 x 28 from the middle are left as they are."""
    images, labels = reading.join(imagenet("test"))
    (row,) = np.flatnonzero(labels == 19)
    expected = photo(19)[18:46, 2:30].astype("float32")
    np.testing.assert_allclose(images[row], expected)


def test_smaller_images_are_the_same_part(imagenet):
    whole, _ = reading.join(imagenet("test"))
    small, _ = reading.join(imagenet("test", image_size=14))
    means = whole.reshape(6, 14, 2, 14, 2, 3).mean((2, 4))
    np.testing.assert_allclose(small, means, atol=2.0)


def test_images_are_cropped_at_random_and_half_are_flipped(imagenet):
    images, labels = reading.join(imagenet(batch_size=14).repeat(30))
    numbers = np.broadcast_to(labels[:, None, None], (420, 28, 28))
    np.testing.assert_allclose(images[..., 0], 10 * numbers, rtol=1e-5)
    blue = images[:, 14, :, 2]
    widths = np.abs(blue[:, -1] - blue[:, 0]) / 27 * 28
    sides = np.array([SHAPES[n % 3] for n in labels])
    # The narrowest: 8 % of the area at an aspect ratio of 3/4.
    least = np.sqrt(0.08 * sides[:, 0] * sides[:, 1] * 0.75)
    assert np.all(widths >= least - 2) and np.all(widths <= sides[:, 1] + 1)
    assert widths.std() > 3
    flipped = np.mean(blue[:, 0] > blue[:, -1])
    assert 0.4 < flipped < 0.6


def test_only_the_train_split_is_augmented_and_shuffled(imagenet):
    for split in ("validation", "test"):
        reading.assert_same(imagenet(split), imagenet(split, seed=1))
        reading.assert_same(
            imagenet(split).repeat(2), imagenet(split).repeat(2)
        )
    plain = imagenet(augment=False, shuffle=0)
    reading.assert_same(plain, imagenet(augment=False, shuffle=0, seed=1))


def test_epochs_differ_and_a_seed_tells_all(imagenet):
    twice = reading.join(imagenet().repeat(2))
    again = reading.join(imagenet().repeat(2))
    for part, other in zip(twice, again, strict=True):
        np.testing.assert_array_equal(part, other)
    first, second = np.split(twice[1], 2)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first), np.sort(second))
    other = reading.join(imagenet(seed=1))
    assert not np.array_equal(other[1], first)


def test_skipping_goes_on_where_the_stream_was(imagenet):
    expected = list(imagenet().repeat(3))[5:]
    skipped = list(imagenet().repeat(3).skip(5))
    for (images, labels), (others, other_labels) in zip(
        expected, skipped, strict=True
    ):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(labels, other_labels)


def test_two_replicas_get_the_batches_of_one(imagenet):
    strategy = strategies.two_replicas()
    batches = strategy.experimental_distribute_dataset(imagenet(batch_size=4))
    labels = [
        np.concatenate(
            [x.numpy() for x in strategy.experimental_local_results(y)]
        )
        for _, y in batches
    ]
    np.testing.assert_array_equal(
        np.concatenate(labels), reading.join(imagenet())[1]
    )


def test_preprocesses_as_the_model_asks(imagenet):
    plain, _ = reading.join(imagenet("test"))
    images, _ = reading.join(
        imagenet(
            "test", preprocess=keras.applications.resnet50.preprocess_input
        )
    )
    mean = [103.939, 116.779, 123.68]
    np.testing.assert_allclose(images, plain[..., ::-1] - mean, atol=1e-3)


def test_bad_arguments(imagenet):
    with pytest.raises(ValueError, match="`validation` must be .*=True"):
        imagenet(validation=True)
    with pytest.raises(ValueError, match="`shuffle` must be .*shuffle=True"):
        imagenet(shuffle=True)
    with pytest.raises(ValueError, match="`image_size` must .*image_size=0"):
        imagenet(image_size=0)


def test_absent_set(tmp_path):
    with pytest.raises(FileNotFoundError, match="name='imagenet2012'"):
        data.imagenet(data_dir=tmp_path)
