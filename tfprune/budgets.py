"""Budgets, and the choice of the units that stay within one."""

import collections
import dataclasses

import numpy as np

from tfprune import checks
from tfprune import choices
from tfprune import costs


@dataclasses.dataclass(frozen=True)
class Budget:
    """What may be left of a model; exactly one of the three is given.

    Args:
        units: Prunable units that stay.
        params: Weights, non-trainable ones included.
        macs: Multiply-accumulates for one example.

    An int is the number itself; a float in (0, 1) is the kept fraction of the
    dense model (for units, of its prunable ones).

    Raises:
        ValueError: If not exactly one is given, or out of range.
    """

    units: int | float | None = None
    params: int | float | None = None
    macs: int | float | None = None

    def __post_init__(self):
        given = {k: v for k, v in vars(self).items() if v is not None}
        if len(given) != 1:
            raise ValueError(
                "A Budget takes exactly one of `units`, `params` and `macs`. "
                f"Received: {given}."
            )
        (name, value), = given.items()
        number = isinstance(value, (int, np.integer)) and value >= 1
        fraction = isinstance(value, (float, np.floating)) and 0 < value < 1
        if isinstance(value, bool) or not (number or fraction):
            raise ValueError(
                f"`{name}` must be an int of at least 1, or a float in (0, 1), "
                f"the kept fraction. Received: {name}={value!r}."
            )

    @property
    def resource(self):
        """The name of what is limited: "units", "params" or "macs"."""
        return next(k for k, v in vars(self).items() if v is not None)

    def target(self, graph):
        """Returns the limit as a number, for the model of `graph`."""
        return self._target(_Gauge(graph, self.resource).dense)

    def partly(self, graph, share):
        """Returns the Budget a share of the way from the dense model to this.

        Args:
            graph: The `ChannelGraph` of the dense model.
            share: In [0, 1]; at 1 it is the target itself.
        """
        dense = _Gauge(graph, self.resource).dense
        target = dense - (dense - self._target(dense)) * share
        return Budget(**{self.resource: max(1, round(target))})

    def _target(self, dense):
        value = getattr(self, self.resource)
        if isinstance(value, (int, np.integer)):
            return int(value)
        # 0.29 * 100 is 28.999..., which is meant to be 29.
        return int(round(value * dense, 6))


def global_ranking(scores, graph, keep):
    """Ranks all units together: returns the scores as they are."""
    return scores


def layer_ranking(scores, graph, keep):
    """Ranks units within their layer, so that all layers lose the same share.

    Args:
        scores: float, [num_units].
        graph: The `ChannelGraph`.
        keep: bool, [num_units], the units that are alive.

    Returns:
        The place of each unit among the live ones of its layer, in (0, 1].
    """
    groups = collections.defaultdict(list)
    for unit in np.flatnonzero(keep & graph.prunable).tolist():
        groups[graph.owners[unit].path].append(unit)
    places = np.ones(graph.num_units)
    for units in groups.values():
        order = np.argsort(scores[units], kind="stable")
        places[np.array(units)[order]] = np.arange(1, len(units) + 1)
        places[units] /= len(units)
    return places


def select(
    scores, graph, keep, budget, min_units=1, ranking=global_ranking
):
    """Returns the units that stay within a budget: the best that fit.

    Units go in the order of their scores, ties in the order of their numbers,
    until the budget holds; then those are taken back, best first, that still
    fit. If parameters or multiply-accumulates end more than 1% below the
    budget, one unit goes in place of another where that helps. A unit that is
    gone in `keep` stays gone.

    Args:
        scores: float [num_units], bigger means keep; or `{name: scores}` of a
            single criterion.
        graph: The `ChannelGraph`.
        keep: bool, [num_units], the units that are alive.
        budget: A `Budget`.
        min_units: How many units every layer keeps at least. Defaults to 1.
        ranking: `global_ranking`, the default, or `layer_ranking`, or any
            function `(scores, graph, keep)` that returns new scores.

    Returns:
        bool, [num_units]; never above the budget.

    Raises:
        ValueError: If the budget cannot be met, naming the nearest reachable
            number; if an argument is something else; or if a score is not
            finite, or what `ranking` made of it.
    """
    keep = graph.check(keep)
    checks.check_counts(min_units=min_units)
    checks.check_kind(Budget, budget=budget)
    if not callable(ranking):
        raise ValueError(
            "`ranking` must be a function `(scores, graph, keep)`, such as "
            f"`layer_ranking`. Received: ranking={ranking!r}."
        )
    scores = _checked("`scores`", _single(scores), graph, keep)
    gauge = _Gauge(graph, budget.resource)
    target = budget._target(gauge.dense)
    ranked = ranking(scores, graph, keep)
    ranked = _checked("What `ranking` returns", ranked, graph, keep)
    choice = choices.Choice(ranked, graph, keep, min_units)
    least = gauge(choice.least)
    if least > target:
        raise ValueError(
            f"The budget of {target} {budget.resource} cannot be met with "
            f"`min_units`={min_units}. The nearest reachable is {least} of "
            f"{gauge.dense}."
        )
    return choice.within(gauge, target)


class _Gauge:
    """Measures one resource of a graph at a mask."""

    def __init__(self, graph, resource):
        self._prunable = graph.prunable
        self._resource = resource
        self._meter = costs.Meter(graph)
        self.dense = self(np.ones(graph.num_units, bool))

    def __call__(self, keep):
        if self._resource == "units":
            return int((keep & self._prunable).sum())
        return getattr(self._meter(keep), self._resource)


def _single(scores):
    if not isinstance(scores, dict):
        return scores
    if len(scores) != 1:
        raise ValueError(
            "`scores` must be those of one criterion. "
            f"Received: {list(scores)}."
        )
    return next(iter(scores.values()))


def _checked(what, scores, graph, keep):
    scores = np.asarray(scores, float)
    if scores.shape != (graph.num_units,):
        raise ValueError(
            f"{what} must be of shape [{graph.num_units}]. "
            f"Received: {list(scores.shape)}."
        )
    wrong = np.flatnonzero(~np.isfinite(scores) & keep & graph.prunable)
    if len(wrong):
        raise ValueError(
            f"{what} must be finite. Received: {scores[wrong[0]]} for unit "
            f"{wrong[0]} of layer {graph.owners[int(wrong[0])].path!r}."
        )
    return scores
