"""Image sets as `tf.data` pipelines: the papers' splits and augmentation."""

from tfprune.data.images import cifar10
from tfprune.data.images import mnist
from tfprune.data.images import tfds_images
from tfprune.data.scikit_learn import digits
from tfprune.data.streaming import imagenet

__all__ = ["cifar10", "digits", "imagenet", "mnist", "tfds_images"]
