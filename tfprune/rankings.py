"""Rankings: what makes the scores of different layers comparable."""

import collections

import numpy as np

from tfprune import checks
from tfprune import choices
from tfprune import costs


def global_ranking(scores, graph, keep):
    """Ranks all units together, by the scores as they are.

    Args:
        scores: As for `uniform_ranking`.
        graph: As for `uniform_ranking`.
        keep: As for `uniform_ranking`.

    Returns:
        The scores.
    """
    return scores


def uniform_ranking(scores, graph, keep):
    """Ranks units within their layer, so that all layers lose the same share.

    Args:
        scores: float, [num_units].
        graph: The `ChannelGraph`.
        keep: bool, [num_units], the units that are alive.

    Returns:
        The place of each unit among the live ones of its layer, in (0, 1];
        those of equal scores lie in the order of their numbers.
    """
    places = np.ones(graph.num_units)
    for units in _by_layer(graph, keep):
        order = np.argsort(scores[units], kind="stable")
        places[units[order]] = np.arange(1, len(units) + 1) / len(units)
    return places


def layer_ranking(scores, graph, keep):
    """Ranks units by their share of the scores of their layer.

    The scores of a layer are divided by their L2 norm (Molchanov et al., 2017,
    arXiv:1611.06440, section 2.3).

    Args:
        scores: As for `uniform_ranking`.
        graph: As for `uniform_ranking`.
        keep: As for `uniform_ranking`.

    Returns:
        float, [num_units]; of norm 1 over the live units of each layer, or 0.
    """
    return _divided(scores, graph, keep, np.linalg.norm)


def layer_l1_ranking(scores, graph, keep):
    """Ranks units as `layer_ranking` does, by the L1 norm.

    A layer of many units counts for as much as one of few, so that each of its
    units counts for less.

    Args:
        scores: As for `uniform_ranking`.
        graph: As for `uniform_ranking`.
        keep: As for `uniform_ranking`.

    Returns:
        float, [num_units]; the absolute values of the live units of each layer
        add up to 1, or 0.
    """
    return _divided(scores, graph, keep, lambda x: np.abs(x).sum())


def layer_mean_ranking(scores, graph, keep):
    """Ranks units by their score in terms of the mean of their layer.

    Layers count by their units, each of which counts for as much as one of
    another layer.

    Args:
        scores: As for `uniform_ranking`.
        graph: As for `uniform_ranking`.
        keep: As for `uniform_ranking`.

    Returns:
        float, [num_units]; the mean absolute value of the live units of each
        layer is 1, or 0.
    """
    return _divided(scores, graph, keep, lambda x: np.abs(x).mean())


def cost_ranking(scores, graph, keep):
    """Ranks units by their score for each multiply-accumulate.

    Scores are of what is worth keeping, none below 0: of two units of the same
    negative score, the ratio would spare the one that costs more.

    Args:
        scores: As for `uniform_ranking`.
        graph: As for `uniform_ranking`.
        keep: As for `uniform_ranking`.

    Returns:
        The scores divided by the multiply-accumulates that go when the unit
        alone does, at least 1, float [num_units].

    Raises:
        ValueError: As for `cost`, or if the score of a live prunable unit is
            negative.
    """
    scores = np.asarray(scores)
    negative = np.flatnonzero((scores < 0) & keep & graph.prunable)
    if len(negative):
        first = int(negative[0])
        raise ValueError(
            "`cost_ranking` takes scores of at least 0. Received: "
            f"{scores[first]} for unit {first} of layer "
            f"{graph.owners[first]!r}. Take a criterion without a sign, or the "
            "ranking `MacsRegularized`."
        )
    return scores / np.maximum(_saved(graph, keep), 1)


class MacsRegularized:
    """Takes from each score a price of the multiply-accumulates of the unit.

    The rank of a unit is

        ranking(score) - mu * macs

    the FLOPs regularization that the code of Molchanov et al., 2019,
    arXiv:1906.10771, has, and does not use. Unlike there, `macs` are all that
    go when the unit alone does, those that read it too.

    Args:
        mu: Price of a multiply-accumulate, at least 0, in terms of scores.
        ranking: What makes the scores of layers comparable before, as for
            `budgets.select`. Defaults to `global_ranking`.

    Raises:
        ValueError: If an argument is something else.
    """

    def __init__(self, mu, ranking=global_ranking):
        checks.check_number(mu=mu)
        if not callable(ranking):
            raise ValueError(
                "`ranking` must be a function `(scores, graph, keep)`. "
                f"Received: ranking={ranking!r}."
            )
        self.mu = mu
        self.ranking = ranking

    def __call__(self, scores, graph, keep):
        """Returns the ranks, float [num_units].

        Args:
            scores: As for `uniform_ranking`.
            graph: As for `uniform_ranking`.
            keep: As for `uniform_ranking`.

        Raises:
            ValueError: As for `cost`, or as `ranking` does.
        """
        ranks = self.ranking(scores, graph, keep)
        ranks = choices.checked("What `ranking` returns", ranks, graph, keep)
        return ranks - self.mu * _saved(graph, keep)


def _divided(scores, graph, keep, size):
    """Returns the scores of each layer, divided by their size if it is not 0.

    Args:
        scores: As for `uniform_ranking`.
        graph: As for `uniform_ranking`.
        keep: As for `uniform_ranking`.
        size: Function of the scores of the live prunable units of a layer.
    """
    shares = np.array(scores, float)
    for units in _by_layer(graph, keep):
        shares[units] /= size(shares[units]) or 1.0
    return shares


def _saved(graph, keep):
    """Returns the multiply-accumulates that go with a unit, [num_units]."""
    meter = costs.Meter(graph)
    widths = meter.groups.widths(keep)
    one_less = widths - np.eye(len(widths))
    saved = meter.macs(widths) - meter.macs(one_less)
    return saved[meter.groups.of_unit]


def _by_layer(graph, keep):
    """Returns the live prunable units of each layer that has some, in order."""
    layers = collections.defaultdict(list)
    for unit in np.flatnonzero(keep & graph.prunable).tolist():
        layers[graph.owners[unit]].append(unit)
    return [np.array(units) for units in layers.values()]
