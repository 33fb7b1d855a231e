"""Times exports in a process of its own, with threads of its own.

    python -m tfprune.stopwatch BATCH_SIZE THREADS RUNS SAMPLE_MS FOLDER ...
"""

import json
import pathlib
import sys

import tensorflow as tf

from tfprune import serving
from tfprune import speed
from tfprune import timing


def main(batch_size, threads, runs, sample_ms, *folders):
    """Writes as JSON what the exports in each folder take, {name: ms}.

    Those of a folder take turns. It is the least sample, for what else runs on
    a machine only adds to the time: of the CPU time on one thread, which that
    changes less, and of the wall time on several.
    """
    clock = "cpu_ms" if int(threads) == 1 else "wall_ms"
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(int(threads))
    settings = int(batch_size), int(runs), float(sample_ms), clock
    times = [_times(pathlib.Path(folder), *settings) for folder in folders]
    sys.stdout.write(json.dumps(times))


def _times(folder, batch_size, runs, sample_ms, clock):
    """Returns the least time of each export, {name: milliseconds}."""
    paths = sorted(folder.iterdir())
    exports = {path.name: serving.load(path) for path in paths}
    calls = speed.calls(exports, batch_size)
    samples = timing.samples(calls, runs, sample_ms)
    return {
        name: min(getattr(sample, clock) for sample in each)
        for name, each in samples.items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
