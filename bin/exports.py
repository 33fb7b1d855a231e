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
    scores, every = _scores(graph), np.ones(graph.num_units, bool)
    masks = {"dense": every}
    for share in SHARES:
        budget = budgets.Budget(units=share)
        selector = _selector(graph, budget, rankings.uniform_ranking)
        masks[share] = selector.select(scores, every)
    budget = budgets.Budget(macs=costs.cost(model, graph, masks[0.5]).macs)
    selector = _selector(graph, budget, align=16)
    chosen = {"global": scores, "uneven": _uneven(scores, graph)}
    for name, values in chosen.items():
        masks[name] = selector.select(values, every)
        share = costs.cost(model, graph, masks[name]).macs / budget.macs
        yield f"ResNet-50: MACs of {name}, aligned / half", share, "x", 1.0
    with _exported(model, graph, masks) as folder:
        for size, limit in ((1, 1 / 3.2), (8, 1 / 3.0)):
            times = _times(folder, size, runs)
            half, dense = times["0.5"], times["dense"]
            batch = f"ResNet-50, batch of {size}"
            yield f"{batch}: half / all units", half / dense, "x", limit
            for name in chosen:
                beside = f"{batch}: {name}, aligned / half"
                yield beside, times[name] / half, "x", 1.05
            slowest = max(times[str(share)] for share in SHARES) / dense
            yield f"{batch}: slowest of 10 .. 90 % / all", slowest, "x", 1.0


def latencies(runs):
    """Yields what exports chosen by latency take, as shares of the budgets."""
    for name in specimens.FAMILIES:
        model = specimens.build(name, input_shape=(SIZE, SIZE, 3))
        graph = tracing.trace(model)
        every = np.ones(graph.num_units, bool)
        selector = _selector(graph, budgets.Budget(latency_ms=0.5))
        half = selector.nearest(_scores(graph), every)  # A miss is shown.
        masks = {"dense": every, "half": half}
        with _exported(model, graph, masks) as folder:
            times = _times(folder, 1, runs)
        used = times["half"] / (0.5 * times["dense"])
        yield f"{name}, of half of its latency", used, "x", 1.0


def _selector(graph, budget, ranking=rankings.global_ranking, align=1):
    return selection.Selector(graph, budget, 1, ranking, 1.0, align)


def _scores(graph):
    return np.random.default_rng(0).random(graph.num_units)


def _uneven(scores, graph):
    """Returns scores whose level, in a group, is up to three times another's.

    So layers lose between a quarter and nine tenths of their units.
    """
    rng = np.random.default_rng(1)
    levels = rng.uniform(0.5, 1.5, graph.groups.prunable.size)
    return scores * levels[graph.groups.of_unit]


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
