"""The times of exported models, beside what each is held to.

They are parts as those of `parts`.
"""

import contextlib
import tempfile

import keras
import numpy as np

from tfprune import budgets
from tfprune import compaction
from tfprune import costs
from tfprune import exporting
from tfprune import latency
from tfprune import measuring
from tfprune import rankings
from tfprune import serving
from tfprune import speed
from tfprune import tracing

SHARES = [tenths / 10 for tenths in range(1, 10)]  # of the units that stay
LATENCIES = 0.7, 0.5  # budgets, as shares of that of the dense model


def speeds(runs):
    """Yields the CPU times of pruned exports of ResNet-50 beside others."""
    model = keras.applications.ResNet50(weights=None)
    graph = tracing.trace(model)
    every = np.ones(graph.num_units, bool)
    scores = np.random.default_rng(0).random(graph.num_units)

    def select(budget, **kwargs):
        return budgets.select(scores, graph, every, budget, **kwargs)

    masks = {"dense": every}
    for share in SHARES:
        budget = budgets.Budget(units=share)
        masks[share] = select(budget, ranking=rankings.uniform_ranking)
    macs = costs.cost(model, graph, masks[0.5]).macs
    masks["global"] = select(budgets.Budget(macs=macs), align=16)
    with _exported(model, graph, masks) as folder:
        exports = {name: serving.load(f"{folder}/{name}") for name in masks}
        times = speed.compare(exports, speed.BATCH_SIZES, runs)
    for size, limit in ((1, 1 / 3.2), (8, 1 / 3.0)):

        def ratio(name, other):
            one, two = (times[each][size].cpu_ms for each in (name, other))
            return one.median / two.median

        batch = f"ResNet-50, batch of {size}"
        yield f"{batch}: half / all units", ratio(0.5, "dense"), "x", limit
        name = f"{batch}: global, aligned / half"
        yield name, ratio("global", 0.5), "x", 1.05
        slowest = max(ratio(share, "dense") for share in SHARES)
        yield f"{batch}: slowest of 10 .. 90 % / all", slowest, "x", 1.0


def latencies(runs):
    """Yields what exports chosen by latency take, as shares of the budgets."""
    for name in ("MobileNetV2", "ResNet50"):
        model = getattr(keras.applications, name)(weights=None)
        graph = tracing.trace(model)
        every = np.ones(graph.num_units, bool)
        scores = np.random.default_rng(0).random(graph.num_units)
        masks = {"dense": every}
        for share in LATENCIES:
            budget = budgets.Budget(latency_ms=share)
            masks[share] = budgets.select(scores, graph, every, budget)
        with _exported(model, graph, masks) as folder:
            (times,) = measuring.timed(
                [folder],
                batch_size=1,
                threads=1,
                runs=latency.RUNS,
                processes=runs,
            )
        for share in LATENCIES:
            used = times[str(share)] / (share * times["dense"])
            yield f"{name}, of a latency budget of {share:.0%}", used, "x", 1.0


@contextlib.contextmanager
def _exported(model, graph, masks):
    """Gives a folder with the exports of a model at {name: mask}."""
    with tempfile.TemporaryDirectory() as folder:
        for name, keep in masks.items():
            small = compaction.shrink(model, graph, keep)
            exporting.export(small, f"{folder}/{name}")
        yield folder
