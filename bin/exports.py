"""The times of exported models, beside what each is held to.

They are parts as those of `parts`.
"""

import contextlib
import tempfile

import keras
import numpy as np
import specimens

from tfprune import budgets
from tfprune import compaction
from tfprune import costs
from tfprune import exporting
from tfprune import latency
from tfprune import measuring
from tfprune import rankings
from tfprune import selection
from tfprune import tracing

SHARES = [tenths / 10 for tenths in range(1, 10)]  # of the units that stay
SIZE = 224  # Height and width of the images of the models of a latency.
SAMPLES = 7  # of each export in a process


def speeds(runs):
    """Yields the CPU times of pruned exports of ResNet-50 beside others."""
    model = keras.applications.ResNet50(weights=None)
    graph = tracing.trace(model)
    masks = {"dense": _every(graph)}
    for share in SHARES:
        budget = budgets.Budget(units=share)
        masks[share] = _selected(graph, budget, rankings.uniform_ranking)
    macs = costs.cost(model, graph, masks[0.5]).macs
    masks["global"] = _selected(graph, budgets.Budget(macs=macs), align=16)
    with _exported(model, graph, masks) as folder:
        for size, limit in ((1, 1 / 3.2), (8, 1 / 3.0)):
            times = _times(folder, size, runs)
            half, dense = times["0.5"], times["dense"]
            batch = f"ResNet-50, batch of {size}"
            yield f"{batch}: half / all units", half / dense, "x", limit
            name = f"{batch}: global, aligned / half"
            yield name, times["global"] / half, "x", 1.05
            slowest = max(times[str(share)] for share in SHARES) / dense
            yield f"{batch}: slowest of 10 .. 90 % / all", slowest, "x", 1.0


def latencies(runs):
    """Yields what exports chosen by latency take, as shares of the budgets."""
    for name in specimens.FAMILIES:
        model = specimens.build(name, input_shape=(SIZE, SIZE, 3))
        graph = tracing.trace(model)
        budget = budgets.Budget(latency_ms=0.5)
        masks = {"dense": _every(graph), "half": _selected(graph, budget)}
        with _exported(model, graph, masks) as folder:
            times = _times(folder, 1, runs)
        used = times["half"] / (0.5 * times["dense"])
        yield f"{name}, of half of its latency", used, "x", 1.0


def _selected(graph, budget, ranking=rankings.global_ranking, align=1):
    """Returns what stays of random scores within a budget, or nearest it."""
    selector = selection.Selector(graph, budget, 1, ranking, 1.0, align)
    scores = np.random.default_rng(0).random(graph.num_units)
    return selector.nearest(scores, _every(graph))


def _every(graph):
    return np.ones(graph.num_units, bool)


def _times(folder, batch_size, processes):
    """Returns the milliseconds of the exports in a folder, {name: median}."""
    effort = latency.WHOLE._replace(runs=SAMPLES, processes=processes)
    (times,) = measuring.timed([folder], batch_size, 1, effort)
    return times


@contextlib.contextmanager
def _exported(model, graph, masks):
    """Gives a folder with the exports of a model at {name: mask}."""
    with tempfile.TemporaryDirectory() as folder:
        for name, keep in masks.items():
            small = compaction.shrink(model, graph, keep)
            exporting.export(small, f"{folder}/{name}")
        yield folder
