"""Weights and channels of the convolutions of a model, as papers count."""

import math

from keras import layers
import numpy as np

from tfprune import compaction
from tfprune import tracing


def weights(model):
    """Returns the entries of all kernels, biases not counted."""
    return sum(math.prod(layer.kernel.shape) for layer in _all(model))


def channels(model):
    """Returns the output channels of all convolutions."""
    return sum(layer.filters for layer in _all(model))


def without(model, name, channel=0):
    """Returns the model compacted without one channel of a layer."""
    graph = tracing.trace(model)
    gone = graph.layer_units(name)[channel]
    keep = np.arange(graph.num_units) != gone
    return compaction.shrink(model, graph, keep)


def _all(model):
    return [x for x in model.layers if isinstance(x, layers.Conv2D)]
