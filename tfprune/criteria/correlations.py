"""How well the scores of a criterion agree with the truth.

Molchanov et al. (2019, arXiv:1906.10771) judge criteria by their correlation
with the exact oracle, over all units and in each layer.
"""

from typing import NamedTuple
import warnings

import numpy as np
from scipy import stats


class Correlation(NamedTuple):
    """How two scores of the same units agree; None where it is undefined.

    Attributes:
        pearson: Linear correlation, in [-1, 1].
        spearman: That of the ranks; units with one score share their mean.
        kendall: Share of the pairs of units in the same order minus that of
            those in the other one, with the correction tau-b for equal scores.
        overlap: Share of the units that the truth would remove which the
            scores would remove, too, in [0, 1]; by chance it is their share of
            all units.
    """

    pearson: float | None
    spearman: float | None
    kendall: float | None
    overlap: float | None


def correlation(scores, truth, units=None, removed=0.3):
    """Returns how the scores of some units agree with the truth.

    Args:
        scores: float [num_units].
        truth: float [num_units].
        units: Which units count, as indices or bool [num_units]. Defaults to
            all.
        removed: Fraction of them, in (0, 1), that each would remove, for the
            `overlap`: those with the lowest scores, rounded to at least one
            unit and at most all but one. Of units with equal scores at that
            limit each counts in part. Defaults to 0.3.

    Returns:
        A `Correlation`, all None if there are fewer than two units or if all
        have the same score or truth.

    Raises:
        ValueError: If `removed` is out of range, if the shapes differ, or if
            a score or truth of a unit that counts is not finite.
    """
    check_removed(removed)
    scores, truth = np.asarray(scores, float), np.asarray(truth, float)
    if scores.ndim != 1 or scores.shape != truth.shape:
        raise ValueError(
            "`scores` and `truth` must hold one number for each unit. "
            f"Received: shapes {list(scores.shape)} and {list(truth.shape)}."
        )
    if units is not None:
        scores, truth = scores[units], truth[units]
    for name, values in {"scores": scores, "truth": truth}.items():
        if not np.isfinite(values).all():
            raise ValueError(
                f"`{name}` must be finite. "
                f"Received: {values[~np.isfinite(values)][0]}."
            )
    if not all(len(np.unique(values)) > 1 for values in (scores, truth)):
        return Correlation(None, None, None, None)
    return Correlation(
        _pearson(scores, truth),
        float(stats.spearmanr(scores, truth).statistic),
        float(stats.kendalltau(scores, truth).statistic),
        _overlap(scores, truth, removed),
    )


def by_layer(scores, truth, graph, keep=None, removed=0.3):
    """Returns how criteria agree with the truth, over all units and by layer.

    Args:
        scores: {name of a criterion: float [num_units]}.
        truth: float [num_units].
        graph: As for `layers`.
        keep: As for `layers`.
        removed: As for `correlation`; in each layer it is a fraction of that
            layer.

    Returns:
        A list of dicts of `criterion`, `layer`, None for all of them, `units`,
        how many count, and what a `Correlation` holds.

    Raises:
        ValueError: As for `correlation` and `layers`.
    """
    parts = layers(graph, keep)
    parts = {None: np.concatenate(list(parts.values())), **parts}
    return [
        {
            "criterion": name,
            "layer": layer,
            "units": len(units),
            **correlation(values, truth, units, removed)._asdict(),
        }
        for name, values in scores.items()
        for layer, units in parts.items()
    ]


def layers(graph, keep=None):
    """Returns the units that can be compared, {layer: indices}.

    Args:
        graph: The `ChannelGraph` that numbers the units; one that several
            layers share counts for the first of them.
        keep: bool [num_units], the units that are left; of these the prunable
            ones count. Defaults to all.

    Raises:
        ValueError: If there is none, or if `keep` is not one for this graph.
    """
    live = graph.prunable
    if keep is not None:
        live = live & graph.check(keep)
    found = {}
    for unit, layer in graph.owners.items():
        if live[unit]:
            found.setdefault(layer, []).append(unit)
    if not found:
        raise ValueError(
            "There must be a unit to score: prunable, and not masked. "
            "Received: none."
        )
    return found


def check_removed(removed):
    """Raises an error if a number is no fraction of units to remove."""
    if not isinstance(removed, float) or not 0 < removed < 1:
        raise ValueError(
            "`removed` must be a fraction of the units in (0, 1). "
            f"Received: removed={removed!r}."
        )


def _pearson(scores, truth):
    with warnings.catch_warnings():
        # Scores that differ in their last digits may be all there is.
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        return float(stats.pearsonr(scores, truth).statistic)


def _overlap(scores, truth, removed):
    count = min(max(1, round(removed * len(scores))), len(scores) - 1)
    shares = _lowest(scores, count), _lowest(truth, count)
    return float(np.minimum(*shares).sum() / count)


def _lowest(values, count):
    """Returns how much of each unit is among the lowest, [units]."""
    limit = np.partition(values, count - 1)[count - 1]
    below, level = values < limit, values == limit
    return below + level * (count - below.sum()) / level.sum()
