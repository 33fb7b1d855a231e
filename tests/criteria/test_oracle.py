"""Tests for tfprune.criteria.oracle."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import zoo
from tfprune import graph as graph_lib
from tfprune import masking
from tfprune import scoring
from tfprune.criteria import oracle

SMALL = [
    "plain",
    "residual_identity",
    "residual_padded",
    "dense_concat",
    "grouped",
    "squeeze_and_excite",
    "shared_layer",
    "siamese",
    "nested",
    "constants",
    "sequential",
]


def loss_fn(labels, outputs):
    return keras.losses.sparse_categorical_crossentropy(
        labels, outputs, from_logits=True
    )


def data(model, examples=6, batch_size=4):
    rng = np.random.default_rng(1)
    inputs = tuple(
        rng.standard_normal((examples, *x.shape[1:])).astype("float32")
        for x in model.inputs
    )
    labels = rng.integers(0, 2, examples)
    inputs = inputs[0] if len(inputs) == 1 else inputs
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels))
    return inputs, labels, dataset.batch(batch_size)


def removable(graph):
    """Returns the prunable units that are not the last of a layer."""
    alone = [
        np.unique(units)
        for node in graph.nodes
        for units in node.outputs
        if len(np.unique(units)) == 1
    ]
    units = np.flatnonzero(graph.prunable)
    return np.setdiff1d(units, np.concatenate(alone)) if alone else units


@pytest.mark.parametrize("name", SMALL)
def test_equals_brute_force(name):
    model = zoo.NETWORKS[name]()
    graph = graph_lib.trace(model)
    masked = masking.mask_model(model, graph)
    inputs, labels, dataset = data(model, examples=4)
    scores = scoring.score(masked, graph, oracle.Oracle(), dataset, loss_fn)
    inputs = list(inputs) if isinstance(inputs, tuple) else inputs
    call = tf.function(lambda x: masked(x, training=False))
    losses = loss_fn(labels, call(inputs))
    for unit in removable(graph)[::3]:
        keep = np.ones(graph.num_units, bool)
        keep[unit] = False
        masking.set_mask(masked, graph, keep)
        change = np.mean(loss_fn(labels, call(inputs)) - losses)
        np.testing.assert_allclose(
            scores["Oracle"][unit], change, rtol=1e-3, atol=1e-5
        )
