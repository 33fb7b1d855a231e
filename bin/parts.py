"""The time and memory of parts of tfprune, beside what each is held to.

Each part yields `(name, value, unit, limit)`s of what it measured in a number
of runs.
"""

from concurrent import futures
import ctypes
import functools
import gc
import multiprocessing

import exports
import keras
import memory as process_memory
import numpy as np
import searching
import steps
import tensorflow as tf

from tfprune import compaction
from tfprune import criteria
from tfprune import losses
from tfprune import masking
from tfprune import models
from tfprune import scoring
from tfprune import timing
from tfprune import tracing
from tfprune.criteria import oracle

DEEP = "ResNet101", "ResNet152", "EfficientNetB7", "NASNetLarge"
ORACLE_IMAGES = 512


def compacting(runs):
    """Yields the times to trace and to compact ResNet-50."""
    model = keras.applications.ResNet50(weights=None)
    keep = _half(tracing.trace(model))
    times = timing.cpu_ms(
        {
            "trace": lambda: tracing.trace(model),
            "trace and compact": lambda: compaction.shrink(
                model, tracing.trace(model), keep
            ),
        },
        runs,
    )
    yield "trace ResNet-50", times["trace"] / 1e3, "s", 0.3
    both = times["trace and compact"] / 1e3
    yield "trace and compact ResNet-50", both, "s", 2.5


def proving(runs):
    """Yields the time to compact a masked ResNet-50, with the proof."""
    model = keras.applications.ResNet50(weights=None)
    functions = {"compact": _compacting(model, masked=True)}
    times = timing.cpu_ms(functions, runs)
    yield "compact and prove ResNet-50", times["compact"] / 1e3, "s", 2.2


def depths(runs):
    """Yields the times to trace deep models as multiples of ResNet-50's."""
    built = {
        name: getattr(keras.applications, name)(weights=None)
        for name in ("ResNet50", *DEEP)
    }
    functions = {
        name: functools.partial(tracing.trace, model)
        for name, model in built.items()
    }
    times = timing.cpu_ms(functions, runs)
    channels = {name: _channels(model) for name, model in built.items()}
    for name in DEEP:
        ratio = times[name] / times["ResNet50"]
        more = channels[name] / channels["ResNet50"]
        text = f"trace {name} / ResNet50, {more:.1f}x the channels"
        yield text, ratio, "x", round(1.2 * more, 1)


def memory(unused_runs):
    """Yields the memory that compacting ResNet-50 adds to a fresh process."""
    context = multiprocessing.get_context("spawn")
    for name, masked in (("masked", True), ("plain", False)):
        with futures.ProcessPoolExecutor(1, context) as process:
            added = process.submit(_added, masked).result()
        yield f"memory to compact a {name} ResNet-50 / weights", added, "x", 2.5


def scores(runs):
    """Yields the time of eight criteria as a share of a plain pass."""
    model, (images, labels) = models.resnet20(), steps.batch()
    loss_fn = losses.CrossEntropy()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    each = {
        "TaylorFO of examples": criteria.TaylorFO(per_example=True),
        "TaylorFO": criteria.TaylorFO(),
        "TaylorOutput": criteria.TaylorOutput(),
        "TaylorWeight": criteria.TaylorWeight(),
        "Fisher": criteria.Fisher(),
        "MeanActivation": criteria.MeanActivation(),
        "MeanGradient": criteria.MeanGradient(),
        "BNTaylor": criteria.BNTaylor(),
    }
    scorer = scoring.Scorer(masked, graph, each, loss_fn)

    @tf.function
    def plain():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(loss_fn(labels, model(images)))
        return tape.gradient(loss, model.trainable_variables)

    @tf.function
    def scored():
        return scorer.pass_over(images, labels)

    times = timing.cpu_ms({"plain": plain, "scored": scored}, runs)
    ratio = times["scored"] / times["plain"]
    yield "eight criteria / forward and backward pass", ratio, "x", 1.3


def masks(runs):
    """Yields the time of a masked training step as a share of a plain one."""
    model = models.resnet20()
    masked = masking.mask_model(model, tracing.trace(model))
    times = timing.cpu_ms(
        {"plain": steps.stepper(model), "masked": steps.stepper(masked)}, runs
    )
    ratio = times["masked"] / times["plain"]
    yield "masked / unmasked training step", ratio, "x", 1.2


def ablations(runs):
    """Yields the speed of the oracle against a forward pass per unit."""
    model, (images, labels) = models.resnet20(), steps.batch()
    loss_fn = losses.CrossEntropy()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    scorer = scoring.Scorer(masked, graph, oracle.Oracle(), loss_fn)
    units = int(graph.prunable.sum())

    @tf.function
    def forward():
        return loss_fn(labels, masked(images, training=False))

    @tf.function
    def ablate():
        return scorer.pass_over(images, labels)

    def forward_per_unit():
        for _ in range(units):
            forward()

    times = timing.measure(
        {"forward": forward_per_unit, "oracle": ablate},
        max(1, runs // 2),
    )
    ratio = times["oracle"].cpu_ms.median / times["forward"].cpu_ms.median
    name = f"oracle / {units} forward passes, ResNet-20"
    yield name, ratio, "x", 1 / 3.5
    batches = ORACLE_IMAGES / len(images)
    seconds = batches * times["oracle"].wall_ms.median / 1e3
    yield f"oracle of {units} units, {ORACLE_IMAGES} images", seconds, "s", 600


def _added(masked):
    """Returns the peak of the added memory as a multiple of the weights."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    _compacting(keras.Sequential([keras.Input([1]), keras.layers.Dense(1)]))()
    model = keras.applications.ResNet50(weights=None)
    compact = _compacting(model, masked)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # Else what was freed could be used again.
    process_memory.forget_peak()
    before = process_memory.read("VmRSS")
    compact()
    peak = process_memory.read("VmHWM")
    return (peak - before) / (4 * model.count_params())


def _compacting(model, masked=False):
    """Returns a function that compacts a model, masked before if so."""
    graph = tracing.trace(model)
    keep = _half(graph)
    if not masked:
        return lambda: compaction.compact(model, graph, keep)
    model = masking.mask_model(model, graph)
    masking.set_mask(model, graph, keep)
    return lambda: compaction.compact(model)


def _channels(model):
    return sum(row.channels for row in tracing.explain(model))


def _half(graph):
    keep = np.ones(graph.num_units, bool)
    keep[np.flatnonzero(graph.prunable)[::2]] = False
    return keep


PARTS = {
    part.__name__: part
    for part in (
        compacting,
        proving,
        depths,
        memory,
        scores,
        masks,
        ablations,
        searching.searches,
        searching.search_memory,
        exports.speeds,
        exports.latencies,
    )
}
