"""Image sets that are read from disk as they are used."""

import tensorflow as tf
import tensorflow_datasets as tfds

from tfprune.data import base

CROP = 224 / 256  # Of the shorter side, in the test.


def imagenet(
    split="train",
    batch_size=256,
    preprocess=None,
    image_size=224,
    augment=True,
    shuffle=16384,
    validation=10000,
    seed=0,
    data_dir=None,
    download=False,
    name="imagenet2012",
):
    """Returns one split of ImageNet, or of a set like it.

    Images of the train split are cropped at random (8 to 100 % of the area, an
    aspect ratio of 3/4 to 4/3) and half of them flipped; of the others, the
    middle 224/256 of the shorter side are taken. All are then resized.

    Only the train split is shuffled and augmented, anew in every epoch. What an
    epoch holds depends on nothing but what it does for `tfds_images`. A run
    that goes on after a stop decodes again all that it had seen.

    Args:
        split: `"train"`, `"validation"` or `"test"`; the latter are the 50,000
            images for validation, for those for the test have no labels.
        batch_size: Images in a batch; the last batch may hold fewer.
        preprocess: Function of float images in [0, 255], such as
            `keras.applications.resnet50.preprocess_input`. Defaults to None,
            for a model that does it itself.
        image_size: Height and width of what comes back, in pixels.
        augment: Whether to crop and flip at random.
        shuffle: Of how many images the next one is drawn, still encoded; if
            there are several files, they are shuffled, too. 0 for the order
            on disk.
        validation: Number of images at the end of the training set that are
            the validation split, and are left out of the train split.
        seed: Of order and augmentation.
        data_dir: Where prepared sets lie. Defaults to that of
            `tensorflow_datasets`.
        download: Whether to prepare a set that is not in `data_dir`, from the
            archives that its page at `tensorflow_datasets` asks for.
        name: Of a set of images and labels with the splits `train` and
            `validation`. Defaults to `"imagenet2012"`.

    Returns:
        `tf.data.Dataset` of images, float32 [batch, image_size, image_size, 3],
        and labels, int64 [batch], of known cardinality.

    Raises:
        ValueError: If an argument is out of range, or no set has the name.
        FileNotFoundError: If the set is not there.
        RuntimeError: If it cannot be prepared.
    """
    base.check(split, batch_size=batch_size, image_size=image_size)
    if type(shuffle) is not int or shuffle < 0:
        raise ValueError(
            "`shuffle` must be an int of at least 0, a number of images. "
            f"Received: shuffle={shuffle!r}."
        )
    builder = base.builder(name, data_dir, download)
    train = split == "train"
    examples = builder.as_dataset(
        split=base.rows(builder, split, validation, test="validation"),
        as_supervised=True,
        shuffle_files=train and shuffle > 0,
        decoders={"image": tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(
            shuffle_seed=seed, shuffle_reshuffle_each_iteration=True
        ),
    )
    if train and shuffle:
        examples = examples.shuffle(shuffle, seed)
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
    image_of = builder.info.features["image"].decode_example

    def load(example, seed):
        encoded, label = example
        image = image_of(encoded)
        if train and augment:
            image = _random_crop(image, seed)
        else:
            image = _middle(image)
        image = tf.image.resize(image, (image_size, image_size), antialias=True)
        image = tf.ensure_shape(image, (image_size, image_size, 3))
        return image, tf.cast(label, tf.int64)

    batches = (
        tf.data.Dataset.zip(examples, seeds.batch(2))
        .map(load, tf.data.AUTOTUNE)
        .batch(batch_size)
    )
    if preprocess is not None:
        batches = batches.map(lambda x, y: (preprocess(x), y), tf.data.AUTOTUNE)
    return batches.prefetch(tf.data.AUTOTUNE)


def _random_crop(image, seed):
    """Returns a part of an image, or its mirror image."""
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image),
        bounding_boxes=tf.zeros([0, 0, 4]),
        seed=seed,
        min_object_covered=0.0,
        area_range=(0.08, 1.0),
        aspect_ratio_range=(3 / 4, 4 / 3),
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    part = tf.slice(image, begin, size)
    other = tf.random.fold_in(seed, 1)
    return tf.image.stateless_random_flip_left_right(part, other)


def _middle(image):
    """Returns the square in the middle of an image."""
    shape = tf.shape(image)[:2]
    side = tf.cast(CROP * tf.cast(tf.reduce_min(shape), tf.float32), tf.int32)
    top, left = tf.unstack((shape - side) // 2)
    return tf.image.crop_to_bounding_box(image, top, left, side, side)
