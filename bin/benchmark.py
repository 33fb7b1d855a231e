"""Times models side by side; without any, the parts of tfprune.

    python bin/benchmark.py savedmodels/lenet_digits_taylor/base.keras \
        savedmodels/lenet_digits_taylor
    python bin/benchmark.py

A path is a `.keras` file, a SavedModel, or the folder of a run. All models,
and all parts, take turns; times are medians, with the first and third quartile.
CPU time is that of all threads of the process. The parts of tfprune are shown
beside what each is held to.
"""

import itertools
import tempfile

from absl import flags
import command
import keras
import numpy as np
from rich import console
from rich import table
import tensorflow as tf

from tfprune import budgets
from tfprune import compaction
from tfprune import costs
from tfprune import exporting
from tfprune import losses
from tfprune import masking
from tfprune import models
from tfprune import rankings
from tfprune import scoring
from tfprune import serving
from tfprune import speed
from tfprune import timing
from tfprune import tracing
from tfprune import training
from tfprune.criteria import bn_scale
from tfprune.criteria import oracle
from tfprune.criteria import taylor
from tfprune.criteria import weight_norm

SHARES = [tenths / 10 for tenths in range(1, 10)]  # of the units that stay

BATCH_SIZES = flags.DEFINE_multi_integer(
    "batch_sizes", speed.BATCH_SIZES, "Sizes of the batches to time models at."
)
THREADS = flags.DEFINE_integer(
    "threads", 1, "Threads of TensorFlow.", lower_bound=1
)
RUNS = flags.DEFINE_integer(
    "runs", 7, "Runs of each measurement.", lower_bound=1
)
NAMES = (
    "compacting",
    "proving",
    "depths",
    "scores",
    "masks",
    "ablations",
    "speeds",
)
PARTS = flags.DEFINE_multi_enum(
    "parts", NAMES, NAMES, "What to measure without models."
)
BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 64, "Images in a batch for the parts.", lower_bound=1
)


def compacting():
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
        RUNS.value,
    )
    yield "trace ResNet-50", times["trace"] / 1e3, "s", 0.3
    both = times["trace and compact"] / 1e3
    yield "trace and compact ResNet-50", both, "s", 2.5


def proving():
    """Yields the time to compact a masked ResNet-50, with the proof."""
    model = keras.applications.ResNet50(weights=None)
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    masking.set_mask(masked, graph, _half(graph))
    functions = {"compact": lambda: compaction.compact(masked)}
    times = timing.cpu_ms(functions, RUNS.value)
    yield "compact and prove ResNet-50", times["compact"] / 1e3, "s", 2.2


def depths():
    """Yields the time to trace ResNet-152 as a multiple of ResNet-50's."""
    builds = (keras.applications.ResNet50, keras.applications.ResNet152)
    shallow, deep = (build(weights=None) for build in builds)
    times = timing.cpu_ms(
        {
            "shallow": lambda: tracing.trace(shallow),
            "deep": lambda: tracing.trace(deep),
        },
        RUNS.value,
    )
    ratio = times["deep"] / times["shallow"]
    longer = len(deep.layers) / len(shallow.layers)
    name = f"trace ResNet-152 / ResNet-50, {longer:.1f}x the layers"
    yield name, ratio, "x", round(1.2 * longer, 1)


def scores():
    """Yields the time of four criteria as a share of a plain pass."""
    model, images, labels = _resnet20()
    loss_fn = losses.CrossEntropy()
    graph = tracing.trace(model)
    masked = masking.mask_model(model, graph)
    criteria = {
        "batch": taylor.TaylorFO(),
        "example": taylor.TaylorFO(per_example=True),
        "norm": weight_norm.WeightNorm(),
        "scale": bn_scale.BNScale(),
    }
    scorer = scoring.Scorer(masked, graph, criteria, loss_fn)

    @tf.function
    def plain():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(loss_fn(labels, model(images)))
        return tape.gradient(loss, model.trainable_variables)

    @tf.function
    def scored():
        return scorer.pass_over(images, labels)

    times = timing.cpu_ms({"plain": plain, "scored": scored}, RUNS.value)
    ratio = times["scored"] / times["plain"]
    yield "four criteria / forward and backward pass", ratio, "x", 1.3


def masks():
    """Yields the time of a masked training step as a share of a plain one."""
    model, images, labels = _resnet20()
    masked = masking.mask_model(model, tracing.trace(model))
    loss_fn = losses.CrossEntropy()

    def stepper(model):
        trainer = training.Trainer(keras.optimizers.SGD(0.01, momentum=0.9))
        trainer.build(model)
        strategy = tf.distribute.get_strategy()

        @tf.function
        def step():
            return strategy.run(
                lambda: trainer.step(model, loss_fn, images, labels)[1]
            )

        return step

    times = timing.cpu_ms(
        {"plain": stepper(model), "masked": stepper(masked)}, RUNS.value
    )
    ratio = times["masked"] / times["plain"]
    yield "masked / unmasked training step", ratio, "x", 1.2


def ablations():
    """Yields the speed of the oracle against a forward pass per unit."""
    model, images, labels = _resnet20()
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

    times = timing.cpu_ms(
        {"forward": forward_per_unit, "oracle": ablate},
        max(1, RUNS.value // 2),
    )
    ratio = times["oracle"] / times["forward"]
    name = f"oracle / {units} forward passes, ResNet-20"
    yield name, ratio, "x", 0.5


def speeds():
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
    with tempfile.TemporaryDirectory() as folder:
        exports = {
            name: exporting.export(
                compaction.shrink(model, graph, keep), f"{folder}/{name}"
            )
            for name, keep in masks.items()
        }
        exports = {name: serving.load(path) for name, path in exports.items()}
        times = speed.compare(exports, runs=RUNS.value)
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


def _resnet20():
    model = models.resnet20()
    rng = np.random.default_rng(0)
    images = rng.standard_normal((BATCH_SIZE.value, 32, 32, 3))
    labels = rng.integers(0, 10, BATCH_SIZE.value)
    return model, tf.constant(images, tf.float32), tf.constant(labels)


def _half(graph):
    keep = np.ones(graph.num_units, bool)
    keep[np.flatnonzero(graph.prunable)[::2]] = False
    return keep


def compare(paths):
    """Yields the times of models on disk, a rich table for each batch size."""
    models = {path: serving.load(path) for path in paths}
    times = speed.compare(models, BATCH_SIZES.value, RUNS.value)
    for size in BATCH_SIZES.value:
        title = f"Batch of {size}: median and quartiles of {RUNS.value} runs"
        grid = table.Table(title=title)
        grid.add_column("model", overflow="fold")
        for name in ("CPU ms", "ratio", "wall ms", "ratio"):
            grid.add_column(name, justify="right", no_wrap=True)
        for path in paths:
            pairs = zip(times[path][size], times[paths[0]][size])
            cells = (_beside(spread, first) for spread, first in pairs)
            grid.add_row(path, *itertools.chain(*cells))
        yield grid


def _beside(spread, first):
    """Returns a spread, and its median as a share of the first one's."""
    text = "{:.2f} ({:.2f}-{:.2f})".format(*spread)
    return text, f"{spread.median / first.median:.3f}"


def parts():
    """Returns the times of the parts of tfprune as a rich table."""
    keras.utils.set_random_seed(0)
    grid = table.Table("measure", "value", "at most")
    for part in PARTS.value:
        for name, value, unit, limit in globals()[part]():
            grid.add_row(name, f"{value:.2f} {unit}", f"{limit:.2f} {unit}")
    return grid


def main(argv):
    _, *paths = argv
    tf.config.threading.set_intra_op_parallelism_threads(THREADS.value)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS.value)
    console.Console().print(*(compare(paths) if paths else [parts()]))


if __name__ == "__main__":
    command.run(main)
