"""Tests for tfprune.data.images, and what all sets refuse."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data import reading
from tfprune import data

CIFAR = tfds.features.FeaturesDict(
    {
        "id": tfds.features.Text(),
        "image": tfds.features.Image(shape=(32, 32, 3)),
        "label": tfds.features.ClassLabel(num_classes=10),
    }
)
# No pixel is black, so that the padding can be told.
IMAGES = np.random.RandomState(0).randint(100, 256, (26, 32, 32, 3), "uint8")
LABELS = np.arange(26) % 10


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A folder with CIFAR-10, of which only 20 + 6 images are left."""
    folder = tmp_path_factory.mktemp("data")
    ids = [str(row) for row in range(26)]

    def split(rows):
        return tf.data.Dataset.from_tensor_slices(
            {"id": ids[rows], "image": IMAGES[rows], "label": LABELS[rows]}
        )

    tfds.dataset_builders.store_as_tfds_dataset(
        name="cifar10",
        version="3.0.2",
        features=CIFAR,
        split_datasets={
            "train": split(slice(20)),
            "test": split(slice(20, 26)),
        },
        data_dir=folder,
        disable_shuffling=True,
    )
    return folder


@pytest.fixture
def cifar10(data_dir):
    def build(split="train", batch_size=3, validation=8, **settings):
        return data.cifar10(
            split,
            batch_size,
            validation=validation,
            data_dir=data_dir,
            **settings,
        )

    return build


def test_train_and_validation_are_disjoint_parts_of_the_training_set(cifar10):
    _, train = reading.join(cifar10("train", shuffle=False))
    _, validation = reading.join(cifar10("validation"))
    _, test = reading.join(cifar10("test"))
    np.testing.assert_array_equal(train, LABELS[:12])
    np.testing.assert_array_equal(validation, LABELS[12:20])
    np.testing.assert_array_equal(test, LABELS[20:])


def test_no_validation_leaves_all_for_training(cifar10):
    _, train = reading.join(cifar10(validation=0, shuffle=False))
    np.testing.assert_array_equal(train, LABELS[:20])


def test_batches(cifar10):
    dataset = cifar10(batch_size=5)
    assert int(dataset.cardinality()) == 3
    assert [len(labels) for _, labels in dataset] == [5, 5, 2]
    images, labels = dataset.element_spec
    assert images.shape.as_list() == [None, 32, 32, 3]
    assert (images.dtype, labels.dtype) == (tf.float32, tf.int64)


def test_normalises_each_channel(cifar10):
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    images, _ = reading.join(cifar10("test"))
    np.testing.assert_allclose(
        images, (IMAGES[20:] / 255 - mean) / std, rtol=1e-5, atol=1e-6
    )


def test_normalises_with_given_constants(cifar10):
    images, _ = reading.join(cifar10("test", mean=0.5, std=0.5))
    np.testing.assert_allclose(images, IMAGES[20:] / 127.5 - 1, atol=1e-6)


def test_augmentation_crops_the_padded_image_and_flips_it(cifar10):
    dataset = cifar10(validation=0, shuffle=False, mean=0.0, std=1 / 255)
    found = set()
    for epoch, _ in [reading.join(dataset) for _ in range(10)]:
        for image, crop in zip(IMAGES[:20], np.rint(epoch), strict=True):
            found.add(find_crop(np.pad(image, ((4, 4), (4, 4), (0, 0))), crop))
    tops, lefts, flips = (set(choice) for choice in zip(*found, strict=True))
    assert tops == lefts == set(range(9))
    assert flips == {False, True}


def find_crop(padded, crop):
    """Returns the only (top, left, flipped) that makes a crop."""
    matches = [
        (top, left, flipped)
        for top in range(9)
        for left in range(9)
        for flipped in (False, True)
        if np.array_equal(
            padded[top : top + 32, left : left + 32][:, :: 1 - 2 * flipped],
            crop,
        )
    ]
    (match,) = matches
    return match


def test_pads_before_it_normalises(cifar10):
    images, _ = reading.join(cifar10(validation=0, mean=0.5, std=0.5))
    assert images.min() == -1  # black; the darkest pixel is 100 / 127.5 - 1
    assert (images == -1).any(axis=(1, 2, 3)).mean() > 0.5


def test_only_the_train_split_is_augmented_and_shuffled(cifar10):
    reading.assert_same(
        cifar10("test"), cifar10("test", augment=False, shuffle=False)
    )
    reading.assert_same(
        cifar10("validation"),
        cifar10("validation", augment=False, shuffle=False),
    )


def test_train_without_augmentation_and_order(cifar10):
    images, labels = reading.join(
        cifar10(augment=False, shuffle=False, mean=0.0, std=1 / 255)
    )
    np.testing.assert_array_equal(np.rint(images), IMAGES[:12])
    np.testing.assert_array_equal(labels, LABELS[:12])


def test_shuffling_keeps_every_image_with_its_label(cifar10):
    images, labels = reading.join(
        cifar10(augment=False, mean=0.0, std=1 / 255)
    )
    rows = [
        int(np.flatnonzero((IMAGES == np.rint(image)).all(axis=(1, 2, 3)))[0])
        for image in images
    ]
    assert rows != sorted(rows)
    assert sorted(rows) == list(range(12))
    np.testing.assert_array_equal(labels, LABELS[rows])


def test_same_seed_same_stream(cifar10):
    reading.assert_same(cifar10(seed=1).repeat(3), cifar10(seed=1).repeat(3))


def test_other_seed_other_order_and_augmentation(cifar10):
    _, labels = reading.join(cifar10(seed=1))
    _, other_labels = reading.join(cifar10(seed=2))
    assert not np.array_equal(labels, other_labels)
    images, _ = reading.join(cifar10(seed=1, shuffle=False))
    other_images, _ = reading.join(cifar10(seed=2, shuffle=False))
    assert not np.array_equal(images, other_images)


def test_epochs_differ_in_order_and_augmentation(cifar10):
    _, labels = reading.join(cifar10().repeat(2))
    assert not np.array_equal(labels[:12], labels[12:])
    images, _ = reading.join(cifar10(shuffle=False).repeat(2))
    assert not np.array_equal(images[:12], images[12:])


def test_skipping_goes_on_where_the_stream_was(cifar10):
    whole = cifar10().repeat().take(11)  # four batches in an epoch
    skipped = cifar10().repeat().skip(6).take(5)
    images, labels = reading.join(skipped)
    all_images, all_labels = reading.join(whole)
    np.testing.assert_array_equal(images, all_images[18:])
    np.testing.assert_array_equal(labels, all_labels[18:])


def test_iterating_again_is_the_same_as_repeating(cifar10):
    dataset = cifar10()
    epochs = [reading.join(dataset) for _ in range(3)]
    repeated = reading.join(cifar10().repeat(3))
    for part in range(2):
        np.testing.assert_array_equal(
            np.concatenate([epoch[part] for epoch in epochs]), repeated[part]
        )


def test_two_replicas_get_the_batches_of_one(cifar10):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    distributed = strategy.experimental_distribute_dataset(
        cifar10(batch_size=4).repeat(2)
    )
    images = [
        np.concatenate(strategy.experimental_local_results(images))
        for images, _ in distributed
    ]
    expected = [
        images.numpy() for images, _ in cifar10(batch_size=4).repeat(2)
    ]
    np.testing.assert_array_equal(images, expected)


def test_grey_images_of_another_set(tmp_path):
    images = np.arange(4 * 28 * 28).reshape(4, 28, 28, 1).astype("uint8")
    split = tf.data.Dataset.from_tensor_slices(
        {"image": images, "label": [3, 1, 4, 1]}
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        name="mnist",
        version="3.0.1",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        ),
        split_datasets={"train": split, "test": split},
        data_dir=tmp_path,
        disable_shuffling=True,
    )
    for dataset in (
        data.mnist("test", validation=1, data_dir=tmp_path),
        data.tfds_images(
            "mnist", "test", mean=0.1307, std=0.3081, data_dir=tmp_path
        ),
    ):
        actual, labels = reading.join(dataset)
        np.testing.assert_allclose(
            actual, (images / 255 - 0.1307) / 0.3081, rtol=1e-5, atol=1e-6
        )
        np.testing.assert_array_equal(labels, [3, 1, 4, 1])


@pytest.mark.parametrize(
    "build", [data.digits, data.cifar10, data.mnist, data.imagenet]
)
def test_bad_arguments_are_told_before_anything_is_read(build):
    with pytest.raises(ValueError, match="`split` must be.*split='dev'"):
        build("dev")
    with pytest.raises(ValueError, match="at least 1.*batch_size=0"):
        build(batch_size=0)


@pytest.mark.parametrize("validation", [-1, 20])
def test_validation_out_of_range(cifar10, validation):
    with pytest.raises(
        ValueError, match=rf"int in \[0, 20\) for the train .*={validation}"
    ):
        cifar10(validation=validation)


def test_validation_split_of_nothing(cifar10):
    with pytest.raises(ValueError, match=r"in \[1, 20\) for the validation"):
        cifar10("validation", validation=0)


def test_absent_set(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        data.cifar10(data_dir=tmp_path)
    assert "name='cifar10'" in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert "--data_dir" in str(error.value)
    assert "download=True" in str(error.value)


def test_set_that_does_not_exist(tmp_path):
    with pytest.raises(ValueError, match="`name` must be.*'cifar1O'") as error:
        data.tfds_images("cifar1O", data_dir=tmp_path)
    assert len(str(error.value)) < 200  # Not all the names that there are.


def test_set_that_cannot_be_fetched(tmp_path, monkeypatch):
    def fail(self):
        raise ConnectionError("no network")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(
        RuntimeError, match="could not be fetched.*'mnist', no network"
    ):
        data.mnist(data_dir=tmp_path, download=True)
