"""Tests for tfprune.compaction."""

import keras
import numpy as np
import pytest

from tests import zoo
from tfprune import compaction
from tfprune import costs
from tfprune import graph as graph_lib
from tfprune import masking


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_compacted_equals_masked(name):
    model = zoo.network(name)
    graph = graph_lib.trace(model)
    masked = masking.mask_model(model, graph)
    for seed in range(5):
        keep = zoo.random_keep(graph, seed)
        masking.set_mask(masked, graph, keep)
        np.testing.assert_array_equal(masking.get_mask(masked, graph), keep)
        small = compaction.shrink(model, graph, keep)
        inputs = compaction.random_inputs(model, seed=seed)
        result = compaction.verify(masked, small, inputs)
        largest = result["max_abs_output"]
        assert result["max_abs_difference"] <= 1e-5 * largest
        assert costs.cost(model, graph, keep) == costs.cost(small)
        assert costs.cost(small).params == small.count_params()
        if keep.sum() < graph.num_units:
            assert small.count_params() < model.count_params()
