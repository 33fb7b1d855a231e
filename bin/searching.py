"""The time and memory of a training step that searches all layers by AOFP."""

from concurrent import futures
import gc
import multiprocessing

import memory
import numpy as np
import steps
import tensorflow as tf

from tfprune import damage
from tfprune import masking
from tfprune import models
from tfprune import timing
from tfprune import tracing

NETWORKS = {
    "VGG-16": lambda: models.vgg16(width=0.5),
    "ResNet-20": models.resnet20,
}


def searches(runs):
    """Yields the time of a step that searches as a share of a plain one."""
    for name, build in NETWORKS.items():
        times = timing.cpu_ms(
            {"plain": steps.stepper(build()), "search": _searching(build())},
            runs,
        )
        ratio = times["search"] / times["plain"]
        yield f"AOFP step / plain step, {name}", ratio, "x", 1.6


def search_memory(unused_runs):
    """Yields the memory of such steps as a share of that of plain ones."""
    context = multiprocessing.get_context("spawn")
    for name in NETWORKS:
        peaks = []
        for searching in (False, True):
            with futures.ProcessPoolExecutor(1, context) as process:
                peaks.append(process.submit(_peak, name, searching).result())
        ratio = peaks[1] / peaks[0]
        yield f"memory of AOFP steps / plain steps, {name}", ratio, "x", 1.5


def _searching(model):
    """Returns a step in which all layers that may be pruned are searched."""
    graph = tracing.trace(model, streams=False)
    masked = masking.mask_model(model, graph)
    found = damage.Damage(masked, graph)
    kept = np.ones(graph.num_units, "float32")
    for target in found.targets:
        kept[target.units[::2]] = 0.0
    return steps.stepper(
        masked,
        lambda _: found.ablating(tf.constant(kept)),
        lambda ablating: ablating.damages(),
    )


def _peak(name, searching):
    """Returns the peak of the memory that ten steps add to a process."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = NETWORKS[name]()
    step = _searching(model) if searching else steps.stepper(model)
    step.get_concrete_function()
    gc.collect()
    memory.forget_peak()
    before = memory.read("VmRSS")
    for _ in range(10):
        step()
    return memory.read("VmHWM") - before
