"""Times of functions that take turns, so that noise meets all alike."""

import statistics
import time
from typing import NamedTuple

SAMPLE_MS = 5.0


class Spread(NamedTuple):
    """Where the middle half of some samples lies."""

    median: float
    low: float  # the first quartile
    high: float  # the third


class Times(NamedTuple):
    """How long a call takes."""

    cpu_ms: Spread  # of all threads of the process together
    wall_ms: Spread


def measure(functions, runs=20):
    """Returns the times of functions, measured in turn: A B A B ...

    A sample repeats its function for at least five milliseconds of wall time,
    after a call that brings what it needs back into the caches.

    Args:
        functions: {name: function without arguments}. A call must return only
            when its work is done.
        runs: Number of samples of each function. Defaults to 20.

    Returns:
        {name: `Times` of a call}.

    Raises:
        ValueError: If there is no function or no run.
    """
    if not functions or runs < 1:
        raise ValueError(
            "Timing needs at least one function and one run. Received: "
            f"functions={sorted(functions)}, runs={runs}."
        )
    repeats = {name: _repeats(call) for name, call in functions.items()}
    samples = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            samples[name].append(_sample(function, repeats[name]))
    return {
        name: Times(*map(_spread, zip(*rows)))
        for name, rows in samples.items()
    }


def cpu_ms(functions, runs=20):
    """Returns the median CPU times of functions, {name: milliseconds}.

    Args:
        functions: As for `measure`.
        runs: As for `measure`.

    Raises:
        ValueError: As for `measure`.
    """
    times = measure(functions, runs)
    return {name: each.cpu_ms.median for name, each in times.items()}


def _repeats(function):
    """Returns how often a function fits into a sample, rounded up."""

    def spent(repeats):  # A pause of the machine can fall into one of two.
        return min(_sample(function, repeats)[1] for _ in range(2)) * repeats

    repeats = 1
    while spent(repeats) < SAMPLE_MS:
        repeats *= 2
    return repeats


def _sample(function, repeats):
    """Returns the milliseconds of CPU and of wall time that a call takes."""
    function()
    before = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        function()
    after = time.process_time(), time.perf_counter()
    return [1e3 * (b - a) / repeats for a, b in zip(before, after)]


def _spread(samples):
    if len(samples) == 1:
        return Spread(*samples * 3)
    low, _, high = statistics.quantiles(samples, method="inclusive")
    return Spread(statistics.median(samples), low, high)
