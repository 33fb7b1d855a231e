"""CPU time of functions that take turns, so that noise meets all alike."""

import statistics
import time

SAMPLE_MS = 5.0


def cpu_ms(functions, runs=20):
    """Returns the median CPU time of functions, measured in turn: A B A B ...

    All threads count. Every function is warmed up first. A sample repeats its
    function as often as the fastest one needs for five milliseconds of wall
    time, the same for all.

    Args:
        functions: {name: function without arguments}. A call must return only
            when its work is done.
        runs: Number of samples of each function. Defaults to 20.

    Returns:
        {name: milliseconds per call}.

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
    return {name: statistics.median(rows) for name, rows in samples.items()}


def _repeats(functions):
    """Returns how often the fastest function fits into a sample, rounded up."""
    repeats = 1
    while min(_wall(f, repeats) for f in functions) < SAMPLE_MS:
        repeats *= 2
    return repeats


def _wall(function, repeats):
    """Returns the milliseconds of wall time that some calls take together."""
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return 1e3 * (time.perf_counter() - start)


def _sample(function, repeats):
    """Returns the milliseconds of CPU time that a call takes."""
    start = time.process_time()
    for _ in range(repeats):
        function()
    return 1e3 * (time.process_time() - start) / repeats
