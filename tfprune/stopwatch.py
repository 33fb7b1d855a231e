"""Times saved functions in a process of its own, with threads of its own.

    python -m tfprune.stopwatch THREADS RUNS FOLDER [FOLDER ...]
"""

import json
import statistics
import sys

import tensorflow as tf

from tfprune import timing


def main(threads, runs, *folders):
    """Writes the milliseconds of each function of each folder as JSON.

    They are CPU time on one thread, which other processes disturb less, and
    wall time on several.
    """
    clock = "cpu_ms" if int(threads) == 1 else "wall_ms"
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(int(threads))
    times = [_times(folder, int(runs), clock) for folder in folders]
    sys.stdout.write(json.dumps(times))


def _times(folder, runs, clock):
    """Returns the time of each function, without that of calling one."""
    module = tf.saved_model.load(folder)
    calls = [_call(function) for function in [module.empty, *module.functions]]
    passes = [[_time(call, clock) for call in calls] for _ in range(runs)]
    empty, *times = map(statistics.median, zip(*passes))
    return [max(0.0, each - empty) for each in times]


def _time(call, clock):
    times = timing.measure({"call": call}, runs=1)["call"]
    return getattr(times, clock).median


def _call(function):
    """Returns a function without arguments that calls one on its inputs."""
    (concrete,) = function.concrete_functions
    inputs = [
        tf.cast(tf.random.normal(spec.shape), spec.dtype)
        if spec.dtype.is_floating
        else tf.zeros(spec.shape, spec.dtype)
        for spec in tf.nest.flatten(concrete.structured_input_signature)
    ]
    return lambda: function(*inputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
