"""Rankings: what makes the scores of different layers comparable."""

import collections

import numpy as np

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
    shares = np.array(scores, float)
    for units in _by_layer(graph, keep):
        norm = np.linalg.norm(scores[units])
        shares[units] /= norm if norm > 0 else 1.0
    return shares


def cost_ranking(scores, graph, keep):
    """Ranks units by their score for each multiply-accumulate.

    Args:
        scores: As for `uniform_ranking`.
        graph: As for `uniform_ranking`.
        keep: As for `uniform_ranking`.

    Returns:
        The scores divided by the multiply-accumulates that go when the unit
        alone does, at least 1, float [num_units].

    Raises:
        ValueError: As for `cost`.
    """
    meter = costs.Meter(graph)
    widths = meter.groups.widths(keep)
    one_less = widths - np.eye(len(widths))
    saved = meter.macs(widths) - meter.macs(one_less)
    return scores / np.maximum(saved, 1)[meter.groups.of_unit]


def _by_layer(graph, keep):
    """Returns the live prunable units of each layer that has some, in order."""
    layers = collections.defaultdict(list)
    for unit in np.flatnonzero(keep & graph.prunable).tolist():
        layers[graph.owners[unit]].append(unit)
    return [np.array(units) for units in layers.values()]
