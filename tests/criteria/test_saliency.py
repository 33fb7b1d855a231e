"""Tests for tfprune.criteria.saliency."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.criteria import by_hand
from tfprune import masking
from tfprune import scoring
from tfprune import tracing
from tfprune.criteria import pointwise
from tfprune.criteria import reductions
from tfprune.criteria import saliency

REDUCTIONS = "Sum", "L1", "L2", "AbsSum", "SquareSum"
SAME = [0.375, 1.375, 0.55]
TABLE = {
    "taylor": [
        [0.2, -0.3, 0.4],
        [0.8, 0.7, 0.8],
        [0.44, 0.34, 0.48],
        [0.4, 0.3, 0.4],
        [0.2, 0.18, 0.32],
    ],
    "fisher": [
        [0.22, 0.17, 0.24],
        [0.22, 0.17, 0.24],
        [0.0548, 0.0226, 0.0576],
        [0.22, 0.17, 0.24],
        [0.0628, 0.029, 0.064],
    ],
    "taylor_fisher": [
        [0.42, -0.13, 0.64],
        [0.92, 0.61, 0.96],
        [0.7188, 0.2546, 0.7936],
        [0.52, 0.29, 0.64],
        [0.4468, 0.101, 0.64],
    ],
    "value": [
        [2, 2.5, 2],
        [3, 2.5, 3],
        [5, 5.5, 9],
        [2, 2.5, 2],
        [5, 6.5, 8],
    ],
    "gradient": [
        [0.1, 0.4, 0.8],
        [0.5, 0.8, 1],
        [0.14, 0.36, 0.68],
        [0.3, 0.4, 0.8],
        [0.1, 0.32, 0.64],
    ],
    "hessian": [
        SAME,
        SAME,
        [0.15625, 2.59375, 0.345],
        SAME,
        [0.15625, 2.65625, 0.365],
    ],
    "taylor_hessian": [
        [0.575, 1.075, 0.95],
        [0.975, 1.225, 1.15],
        [0.64625, 1.58375, 1.425],
        [0.575, 1.075, 0.95],
        [0.40625, 1.48625, 1.325],
    ],
}


@pytest.mark.parametrize("name", TABLE)
def test_family_by_hand(name):
    for kind, expected in zip(REDUCTIONS, TABLE[name], strict=True):
        reduction = getattr(reductions, kind)()
        criterion = saliency.Saliency(getattr(pointwise, name), reduction)
        assert criterion.name == f"Saliency_{name}_{kind}"
        np.testing.assert_allclose(
            by_hand.scores(criterion), expected, rtol=1e-6, err_msg=kind
        )


def test_per_point_divides_by_the_positions():
    whole, each = (
        saliency.Saliency(pointwise.taylor, reductions.L1(), per_point)
        for per_point in (False, True)
    )
    found = by_hand.scores(each)
    np.testing.assert_allclose(found, by_hand.scores(whole) / 2, rtol=1e-6)


def test_second_derivatives_of_a_model():
    # Squared errors have second derivatives of 2, and a kernel squares itself.
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(3, "relu", name="hidden")
    last = keras.layers.Dense(2, name="last")
    model = keras.Model(inputs, last(hidden(inputs)))
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    examples = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    found = scoring.score(
        masked,
        graph,
        saliency.Saliency(pointwise.hessian, reductions.Sum()),
        tf.data.Dataset.from_tensors((examples, np.ones((5, 2), "float32"))),
        lambda labels, outputs: tf.reduce_sum((labels - outputs) ** 2, -1),
    )
    (scores,) = found.values()
    second = 2 * (last.kernel.numpy() ** 2).sum(axis=1)
    values = hidden(examples).numpy()
    expected = (0.5 * values**2 * second).mean(axis=0)
    units = graph.layer_units("hidden")
    np.testing.assert_allclose(scores[units], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("taylor", reductions.L1()), "`pointwise` must be a function"),
        ((pointwise.taylor, reductions.L1), "object of a class of"),
        ((pointwise.taylor, reductions.L1(), False, "all"), "one of sum, mean"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        saliency.Saliency(*arguments)
