"""Times exports in a process of its own, with threads of its own.

    python -m tfprune.stopwatch BATCH_SIZE THREADS RUNS FOLDER [FOLDER ...]
"""

import json
import pathlib
import sys

import tensorflow as tf

from tfprune import serving
from tfprune import speed


def main(batch_size, threads, runs, *folders):
    """Writes as JSON what the exports in each folder take, {name: ms}.

    Those of a folder take turns. It is CPU time on one thread, which other
    processes disturb less, and wall time on several.
    """
    clock = "cpu_ms" if int(threads) == 1 else "wall_ms"
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(int(threads))
    settings = int(batch_size), int(runs), clock
    times = [_times(pathlib.Path(folder), *settings) for folder in folders]
    sys.stdout.write(json.dumps(times))


def _times(folder, batch_size, runs, clock):
    """Returns the median time of each export, {name: milliseconds}."""
    paths = sorted(folder.iterdir())
    exports = {path.name: serving.load(path) for path in paths}
    times = speed.compare(exports, [batch_size], runs)
    return {
        name: getattr(each[batch_size], clock).median
        for name, each in times.items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
