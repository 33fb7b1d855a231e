"""Budgets, and the choice of the units that stay within one."""

import dataclasses
import os

import numpy as np

from tfprune import checks
from tfprune import rankings
from tfprune import selection

RESOURCES = "units", "params", "macs", "latency_ms"
TABLE = "~/.cache/tfprune/latency.json"


@dataclasses.dataclass(frozen=True)
class Budget:
    """What may be left of a model; exactly one resource is given.

    Args:
        units: Prunable units that stay.
        params: Weights, non-trainable ones included.
        macs: Multiply-accumulates for one example.
        latency_ms: Time of one call of the exported model in milliseconds on
            this machine, the least of 21 samples in a process and the median
            of five processes: CPU time on one thread, wall time on more.
        tolerance: How far below the budget a model may end, as a share of it
            in (0, 1]. Defaults to None: 0.01, and 0.05 for a latency, or any
            distance if units go aligned.
        batch_size: Number of examples of the call that `latency_ms` is of.
            Defaults to 1.
        threads: Number of threads that compute it. Defaults to 1.
        table: File that keeps what was measured on this machine, for other
            runs. Defaults to `~/.cache/tfprune/latency.json`.

    An int is the number itself, a latency of at least 1 too; a float in (0, 1)
    is the kept fraction of the dense model (for units, of its prunable ones).

    Raises:
        ValueError: If not exactly one is given, or out of range.
    """

    units: int | float | None = None
    params: int | float | None = None
    macs: int | float | None = None
    latency_ms: int | float | None = None
    tolerance: float | None = None
    batch_size: int = 1
    threads: int = 1
    table: str = TABLE

    def __post_init__(self):
        given = {k: v for k, v in self._resources.items() if v is not None}
        if len(given) != 1:
            raise ValueError(
                "A Budget takes exactly one of `units`, `params`, `macs` and "
                f"`latency_ms`. Received: {given}."
            )
        (name, value), = given.items()
        floats = float, np.floating
        kinds = int, np.integer, *(floats if name == "latency_ms" else ())
        number = isinstance(value, kinds) and 1 <= value < np.inf
        fraction = isinstance(value, floats) and 0 < value < 1
        if isinstance(value, bool) or not (number or fraction):
            kind = "a number" if name == "latency_ms" else "an int"
            raise ValueError(
                f"`{name}` must be {kind} of at least 1, or a float in (0, 1), "
                f"the kept fraction. Received: {name}={value!r}."
            )
        _check_tolerance(self.tolerance)
        checks.check_counts(batch_size=self.batch_size, threads=self.threads)
        if not isinstance(self.table, (str, os.PathLike)):
            raise ValueError(
                "`table` must be the path of a file. "
                f"Received: table={self.table!r}."
            )
        settings = self.batch_size, self.threads, self.table
        if name != "latency_ms" and settings != (1, 1, TABLE):
            raise ValueError(
                "`batch_size`, `threads` and `table` are those of a "
                f"`latency_ms`. Received: {self}."
            )

    @property
    def resource(self):
        """The name of what is limited: one of `RESOURCES`."""
        return next(k for k, v in self._resources.items() if v is not None)

    def target(self, dense):
        """Returns the limit as a number.

        Args:
            dense: How much of the resource the dense model takes.
        """
        value = getattr(self, self.resource)
        if self.resource == "latency_ms":
            return value if value >= 1 else value * dense
        if isinstance(value, (int, np.integer)):
            return int(value)
        # 0.29 * 100 is 28.999..., which is meant to be 29.
        return int(round(value * dense, 6))

    @property
    def _resources(self):
        return {name: getattr(self, name) for name in RESOURCES}


def select(
    scores,
    graph,
    keep,
    budget,
    min_units=1,
    ranking=rankings.global_ranking,
    max_units=1.0,
    align=1,
):
    """Returns the units that stay within a budget: the best that fit.

    Units go in the order of their scores, ties in the order of their numbers,
    until the budget holds; then those are taken back, best first, that still
    fit. While that ends more than 1% below the budget, one unit goes in place
    of another where it helps. A unit that is gone in `keep` stays gone.

    A latency is predicted from a table of the parts of the model. The model
    that comes out is measured, and chosen again up to 7 times until it takes
    no more than the budget and at most 5% less.

    Args:
        scores: float [num_units], bigger means keep; or `{name: scores}` of a
            single criterion.
        graph: The `ChannelGraph`.
        keep: bool, [num_units], the units that are alive.
        budget: A `Budget`.
        min_units: How many units a layer keeps at least: an int of at least 1,
            or a float in (0, 1], the fraction of its prunable units, rounded
            up, which stays besides the frozen ones. Or a dict from names of
            layers, in which `*`, `?` and `[]` match as in file names, to such
            numbers. The last name that matches a layer counts; where several
            that are named share their units, the strictest of those with a
            kernel, or else of the others. `"*"` is for the units of layers
            that no other name matches. Defaults to 1.
        ranking: A function of `tfprune.rankings`, or any `(scores, graph,
            keep)` that returns new scores. Defaults to `global_ranking`.
        max_units: How many units a layer keeps at most, in the manner of
            `min_units`; the same number for both fixes the width of a layer.
            Defaults to 1.0.
        align: Units that lie in the same layers go `align` at a time, so that
            a multiple of it stays of them, or all. Their scores are averaged.
            Defaults to 1.

    Returns:
        bool, [num_units]; never above the budget.

    Raises:
        ValueError: If the budget cannot be met, naming the nearest number that
            was reached; if an argument is something else, or two contradict
            each other; or if a score is not finite, or what `ranking` made of
            it.
    """
    checks.check_kind(Budget, budget=budget)
    selector = selection.Selector(
        graph, budget, min_units, ranking, max_units, align
    )
    return selector.select(scores, keep)


def _check_tolerance(value):
    if value is None:
        return
    number = isinstance(value, (int, float, np.floating))
    if isinstance(value, bool) or not number or not 0 < value <= 1:
        raise ValueError(
            "`tolerance` must be a float in (0, 1], a share of the budget. "
            f"Received: tolerance={value!r}."
        )
