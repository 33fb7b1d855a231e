"""Tests for tfprune.criteria.random."""

import numpy as np
import tensorflow as tf

from tests import zoo
from tfprune import masking
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import random


def test_draws_depend_on_the_seed_alone():
    model = zoo.plain()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    images = np.zeros((6, 8, 8, 3), "float32")
    data = tf.data.Dataset.from_tensor_slices((images, np.zeros(6)))
    criteria = {str(seed): random.Random(seed) for seed in (0, 1)}
    one, two = (
        scoring.score(
            masked, graph, criteria, data.batch(size), lambda y, x: x[:, 0]
        )
        for size in (2, 6)
    )
    for name in criteria:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-6)
        assert len(np.unique(one[name])) == graph.num_units
        assert (0 <= one[name]).all() and (one[name] < 1).all()
    assert not np.isin(one["0"], one["1"]).any()
