"""Times models side by side; without any, the parts of tfprune.

    python bin/benchmark.py savedmodels/lenet_digits_taylor/base.keras \
        savedmodels/lenet_digits_taylor
    python bin/benchmark.py

A path is a `.keras` file, a SavedModel, or the folder of a run. Models take
turns, and so does what a part compares; times are medians, those of models
with the first and third quartile. CPU time is that of all threads of the
process. The parts of tfprune are shown beside what each is held to. `speeds`
and `latencies` are of exports on one thread, the least of several samples;
they take twenty minutes and two hours of a machine that should do nothing else.
"""

import itertools

from absl import flags
import command
import keras
import parts
from rich import console
from rich import table
import tensorflow as tf

from tfprune import serving
from tfprune import speed

BATCH_SIZES = flags.DEFINE_multi_integer(
    "batch_sizes", speed.BATCH_SIZES, "Sizes of the batches to time models at."
)
THREADS = flags.DEFINE_integer(
    "threads", 1, "Threads of TensorFlow.", lower_bound=1
)
RUNS = flags.DEFINE_integer(
    "runs", 7, "Runs of each time that is measured.", lower_bound=1
)
PARTS = flags.DEFINE_multi_enum(
    "parts", list(parts.PARTS), list(parts.PARTS), "What to measure of tfprune."
)


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


def measure():
    """Prints what is measured of parts of tfprune, line by line."""
    keras.utils.set_random_seed(0)
    for part in PARTS.value:
        for name, value, unit, limit in parts.PARTS[part](RUNS.value):
            line = f"{name}: {value:.2f} {unit} (at most {limit:.2f} {unit})"
            print(line, flush=True)


def main(argv):
    _, *paths = argv
    tf.config.threading.set_intra_op_parallelism_threads(THREADS.value)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS.value)
    if paths:
        console.Console().print(*compare(paths))
    else:
        measure()


if __name__ == "__main__":
    command.run(main)
