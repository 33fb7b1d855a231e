"""CPU time of functions that take turns, so that noise meets all alike."""

import statistics
import time
from typing import NamedTuple

SAMPLE_MS = 5.0


class Timing(NamedTuple):
    """Milliseconds per call of one function.

    Attributes:
        median: Median CPU time over the samples; all threads count.
        minimum: Smallest CPU time, the one least disturbed.
        maximum: Largest CPU time.
        wall: Median wall time.
        runs: Number of samples.
    """

    median: float
    minimum: float
    maximum: float
    wall: float
    runs: int


def cpu_ms(functions, runs=20):
    """Returns the CPU time of each function, measured in turn: A B A B ...

    Every function is warmed up first. A sample repeats its function as often
    as the fastest one needs for five milliseconds, the same for all.

    Args:
        functions: {name: function without arguments}. A call must return only
            when its work is done.
        runs: Number of samples of each function. Defaults to 20.

    Returns:
        {name: `Timing`}, in milliseconds per call.

    Raises:
        ValueError: If there is no function or no run.
    """
    if not functions or runs < 1:
        raise ValueError(
            "Timing needs at least one function and one run. Received: "
            f"functions={sorted(functions)}, runs={runs}."
        )
    for function in functions.values():
        function()
    repeats = _repeats(functions.values())
    samples = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            samples[name].append(_sample(function, repeats))
    return {name: _timing(rows) for name, rows in samples.items()}


def _repeats(functions):
    """Returns how often the fastest function fits into a sample, rounded up."""
    repeats = 1
    while min(_sample(f, repeats)[1] for f in functions) * repeats < SAMPLE_MS:
        repeats *= 2
    return repeats


def _sample(function, repeats):
    """Returns (CPU, wall) milliseconds per call."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        function()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return 1e3 * cpu / repeats, 1e3 * wall / repeats


def _timing(samples):
    cpu, wall = zip(*samples, strict=True)
    return Timing(
        median=statistics.median(cpu),
        minimum=min(cpu),
        maximum=max(cpu),
        wall=statistics.median(wall),
        runs=len(samples),
    )
