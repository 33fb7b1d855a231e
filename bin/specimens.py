"""The models of keras.applications, with random weights to test on."""

import inspect

import keras
import numpy as np
import tensorflow as tf

from tfprune import batch_norm
from tfprune import program
from tfprune import verification
from tfprune.rules import base

FAMILIES = (  # One model of each module.
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "VGG19",
    "Xception",
)
# A new model has biases of 0 and the like, which no leak would show in.
RANGES = {"gamma": (0.5, 1.5), "beta": (-0.5, 0.5), "bias": (-0.5, 0.5)}


def constructors():
    """Returns {name: function} of all models of keras.applications."""
    found = vars(keras.applications).items()
    return {name: x for name, x in sorted(found) if inspect.isfunction(x)}


def build(name, **kwargs):
    """Returns a model, the same each time, that shows what leaks from masks.

    Batch normalisation is given the statistics of random images, so that no
    signal vanishes or grows, however deep the model is.

    Args:
        name: One of `constructors`.
        **kwargs: Arguments of it.
    """
    keras.utils.set_random_seed(0)
    logits = {"weights": None, "classifier_activation": None}
    model = constructors()[name](**logits, **kwargs)
    rng = np.random.default_rng(0)
    for layer in program.layers_by_path(model).values():
        for attribute, (low, high) in RANGES.items():
            variable = getattr(layer, attribute, None)
            if variable is not None:
                variable.assign(rng.uniform(low, high, variable.shape))
    if batch_norm.moving_statistics(model):
        images = verification.random_inputs(model, batch_size=8, seed=1)
        data = tf.data.Dataset.from_tensors((images, np.zeros(len(images))))
        batch_norm.reestimate(model, data, 1)
    return model


def prunable_inside(graph):
    """Returns the prunable share of what is neither input nor output."""
    outer = {base.INPUT, base.OUTPUT}
    inner = [why for why in graph.reasons if why not in outer]
    return inner.count(None) / len(inner)
