"""What holds for every model must hold for the odd ones of `tests.odd`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import counting
from tests import odd
from tests import zoo
from tfprune import budgets
from tfprune import compaction
from tfprune import costs
from tfprune import masking
from tfprune import rules
from tfprune import tracing
from tfprune import verification

def run(model, inputs):
    return keras.tree.flatten(tf.function(model)(inputs, training=False))


@pytest.mark.parametrize("name", odd.MODELS)
def test_mask_explanation_cost_and_compaction_agree(name):
    model = odd.built(name)
    graph = tracing.trace(model)
    zoo.check_explanation(graph)
    masked = masking.mask_model(model, graph)
    inputs = verification.random_inputs(model, seed=1)
    for a, b in zip(run(masked, inputs), run(model, inputs), strict=True):
        assert np.isfinite(b).all()
        np.testing.assert_allclose(a, b, rtol=1e-5)
    proof = verification.Proof(masked, inputs)
    half = "float16" in name
    for seed in range(2):
        keep = zoo.random_keep(graph, seed)
        masking.set_mask(masked, graph, keep)
        np.testing.assert_array_equal(masking.get_mask(masked, graph), keep)
        small = compaction.shrink(model, graph, keep)
        result = proof.verify(small)
        largest = result["max_abs_output"]
        assert half or result["max_abs_difference"] <= 1e-5 * largest
        if "unknown_sizes" in name:
            continue
        cost = costs.cost(model, graph, keep)
        one = keras.tree.map_structure(lambda x: x[:1], inputs)
        assert cost == costs.cost(small)
        assert cost.params == small.count_params()
        if all(
            rules.rule_for(node.layer).kernels  # They are counted even so.
            for node in graph.nodes
            if node.path in graph.uncounted
        ):
            assert cost.macs == counting.macs(small, one)


def test_kernels_inside_wrappers_without_a_rule_are_not_counted():
    model = odd.built("wrapped")
    inputs = np.zeros((1, 8, 8, 3), "float32")
    hidden = 3 * 3 * 5 * 6 * 6 * 6
    assert costs.cost(model).macs == counting.macs(model, inputs) - hidden


def test_sizes_must_be_known_for_multiply_accumulates_alone():
    model = odd.built("unknown_sizes")
    with pytest.raises(ValueError, match="all sizes are known.*fixed input"):
        costs.cost(model)
    graph = tracing.trace(model)
    every = np.ones(graph.num_units, bool)
    budget = budgets.Budget(params=0.5, tolerance=0.5)
    keep = budgets.select(graph.prunable * 1.0, graph, every, budget)
    small = compaction.shrink(model, graph, keep)
    assert small.count_params() <= 0.5 * model.count_params()
