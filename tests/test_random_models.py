"""What holds for every model must hold for random architectures.

A commit proves those of 150 seeds, and saves and loads every fifth; both for
2,000 with `.ci/nightly`, or with `--seeds` for any.
"""

import pathlib
import tempfile

import keras
import numpy as np
import pytest

from tests import architectures
from tests import counting
from tests import shrinking
from tests import zoo
from tfprune import compaction
from tfprune import costs
from tfprune import exporting
from tfprune import masking
from tfprune import tracing
from tfprune import verification

TOLERANCE = 1e-5  # of the largest output
SHARES = 0.3, 0.8  # of the units that stay, in a thin and in a thick model

pytestmark = pytest.mark.filterwarnings("ignore:You are using a softmax")


def pytest_generate_tests(metafunc):
    given = metafunc.config.getoption("--seeds")
    first, last = given or (0, 149)
    if "drawn" in metafunc.fixturenames:
        metafunc.parametrize("drawn", range(first, last + 1))
    if "saved" in metafunc.fixturenames:
        seeds = range(first, last + 1, 1 if given else 5)
        metafunc.parametrize("saved", seeds)


@pytest.mark.slow
def test_mask_explanation_cost_and_compaction_agree(drawn):
    shrinking.check(architectures.drawn(drawn), prove_agreement)


@pytest.mark.slow
def test_saved_models_compute_the_same(saved):
    shrinking.check(architectures.drawn(saved), prove_round_trips)


def prove_agreement(architecture):
    model = architectures.build(architecture)
    graph = tracing.trace(model)
    zoo.check_explanation(graph)
    masked = masking.mask_model(model, graph)
    inputs = verification.random_inputs(model)
    assert_same(run(masked, inputs), run(model, inputs))
    for seed, share in enumerate(SHARES):
        keep = zoo.random_keep(graph, seed, share)
        masking.set_mask(masked, graph, keep)
        np.testing.assert_array_equal(masking.get_mask(masked, graph), keep)
        small = compaction.shrink(model, graph, keep)
        assert_same(run(small, inputs), run(masked, inputs))
        prove_cost(small, costs.cost(model, graph, keep), inputs)


def prove_cost(small, cost, inputs):
    assert cost == costs.cost(small)
    assert cost.params == small.count_params()
    if not tracing.explain(small).uncounted:
        one = keras.tree.map_structure(lambda x: x[:1], inputs)
        assert cost.macs == counting.macs(small, one)


def prove_round_trips(architecture):
    model = architectures.build(architecture)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    keep = zoo.random_keep(graph, 0)
    masking.set_mask(masked, graph, keep)
    small = compaction.compact(model, graph, keep)
    inputs = verification.random_inputs(model)
    with tempfile.TemporaryDirectory() as folder:
        for each in (masked, small):
            path = pathlib.Path(folder, "model.keras")
            exporting.save_keras(each, path)
            again = keras.saving.load_model(path, compile=False)
            assert_same(run(again, inputs), run(each, inputs))
        exporting.export(small, folder)  # Compares the reloaded model, too.


def run(model, inputs):
    return keras.tree.flatten(model(inputs, training=False))


def assert_same(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        limit = TOLERANCE * np.abs(b).max()
        np.testing.assert_allclose(a, b, rtol=0, atol=limit)
