"""Times of functions that take turns, so that noise meets all alike."""

import statistics
import time
from typing import NamedTuple

SAMPLE_MS = 20.0  # Some ten calls are slower after another function ran.


class Spread(NamedTuple):
    """Where the middle half of some samples lies."""

    median: float
    low: float  # the first quartile
    high: float  # the third


class Sample(NamedTuple):
    """How long a call took."""

    cpu_ms: float  # of all threads of the process together
    wall_ms: float


class Times(NamedTuple):
    """How long a call takes."""

    cpu_ms: Spread
    wall_ms: Spread


def measure(functions, runs=20):
    """Returns the times of functions, by `samples`.

    Args:
        functions: As for `samples`.
        runs: Number of samples of each function. Defaults to 20.

    Returns:
        {name: `Times` of a call}.

    Raises:
        ValueError: As for `samples`.
    """
    return {
        name: Times(*map(_spread, zip(*rows)))
        for name, rows in samples(functions, runs, SAMPLE_MS).items()
    }


def samples(functions, runs, sample_ms):
    """Returns samples of the times of functions, taken in turn: A B A B ...

    A sample repeats its function, after as many calls that bring what it needs
    back into the caches.

    Args:
        functions: {name: function without arguments}. A call must return only
            when its work is done.
        runs: Number of samples of each function.
        sample_ms: Wall time that a sample takes at least, in milliseconds.

    Returns:
        {name: [`Sample`]}.

    Raises:
        ValueError: If there is no function or no run.
    """
    if not functions or runs < 1:
        raise ValueError(
            "Timing needs at least one function and one run. Received: "
            f"functions={sorted(functions)}, runs={runs}."
        )
    repeats = {k: _repeats(call, sample_ms) for k, call in functions.items()}
    taken = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            taken[name].append(_sample(function, repeats[name]))
    return taken


def cpu_ms(functions, runs=20):
    """Returns the median CPU times of functions, {name: milliseconds}.

    Args:
        functions: As for `samples`.
        runs: As for `measure`.

    Raises:
        ValueError: As for `samples`.
    """
    times = measure(functions, runs)
    return {name: each.cpu_ms.median for name, each in times.items()}


def _repeats(function, sample_ms):
    """Returns how often a function fits into a sample, rounded up."""

    def short():  # A pause of the machine can fall into one of two.
        spent = (_sample(function, repeats).wall_ms for _ in range(2))
        return any(repeats * wall_ms < sample_ms for wall_ms in spent)

    repeats = 1
    while short():
        repeats *= 2
    return repeats


def _sample(function, repeats):
    for _ in range(repeats):
        function()
    before = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        function()
    after = time.process_time(), time.perf_counter()
    return Sample(*(1e3 * (b - a) / repeats for a, b in zip(before, after)))


def _spread(values):
    if len(values) == 1:
        return Spread(*values * 3)
    low, _, high = statistics.quantiles(values, method="inclusive")
    return Spread(statistics.median(values), low, high)
