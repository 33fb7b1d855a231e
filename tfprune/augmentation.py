"""How the papers change training images at random."""

import tensorflow as tf


def crop_and_flip(images, seed):
    """Pads images by 4 zeros, crops them back, and flips half of them.

    Args:
        images: [batch, height, width, channels].
        seed: int64 [2], on which alone the choices depend.

    Returns:
        Images of the same shape; each is cropped and flipped on its own.
    """
    _, height, width, _ = images.shape
    draws = tf.random.stateless_uniform([tf.shape(images)[0], 3], seed)
    choices = tf.cast(draws * [9.0, 9.0, 2.0], tf.int32)
    top, left, flip = tf.split(choices, 3, axis=1)  # [batch, 1] each
    rows = top + tf.range(height)
    columns = left + tf.range(width)
    columns = tf.where(flip == 1, columns[:, ::-1], columns)
    images = tf.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)
