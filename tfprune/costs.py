"""Parameters and multiply-accumulates of a model at a mask."""

import functools
import math
from typing import NamedTuple

from absl import logging
import numpy as np

from tfprune import masking
from tfprune import tracing
from tfprune.rules import base


class Cost(NamedTuple):
    """What a model takes for one example."""

    params: int  # all weights, non-trainable ones included
    macs: int  # of convolutions and dense products


def cost(model, graph=None, keep=None):
    """Returns the `Cost` of a model, or of what a mask leaves of it.

    Multiply-accumulates are those of convolutions and dense products: kernel
    size times output positions (input positions for a transposed
    convolution), once for each call of a shared layer. An attention counts
    with its four projections, not with the products of queries and keys and of
    scores and values, which have no kernel; a layer without a rule that has a
    kernel, with its parameters alone. A warning names both, and so does
    `explain`.

    Args:
        model: A built Functional or Sequential `keras.Model`; the masks of a
            masked one are not counted.
        graph: Its `ChannelGraph`, that of the model it was made from if it is
            masked. Defaults to a new trace.
        keep: bool, [num_units], the units that stay. Defaults to all, or to
            those that a masked model keeps.

    Raises:
        ValueError: If an input size that multiply-accumulates depend on is
            unknown, or if `graph` or `keep` do not fit.
    """
    if masking.is_masked(model):
        if graph is None:
            graph = masking.trace_masked(model)
        if keep is None:
            keep = masking.get_mask(model, graph)
    graph = tracing.trace(model) if graph is None else graph
    keep = np.ones(graph.num_units, bool) if keep is None else keep
    return Meter(graph)(graph.check(keep))


class Meter:
    """Counts the `Cost` of many masks of one graph."""

    def __init__(self, graph):
        self._weights = []  # of unique layers: the units or length of each axis
        self._kernels = []  # of all calls: those and the positions
        seen = set()
        for node in graph.nodes:
            self._add(node, graph.node_of[node.layer], seen)
        _warn(graph.uncounted)

    def __call__(self, keep):
        """Returns the `Cost` with the units of `keep`, bool [num_units]."""
        extended = np.append(keep, True)

        def size(axes):
            return math.prod(
                x if isinstance(x, int) else int(extended[x].sum())
                for x in axes
            )

        params = sum(map(size, self._weights))
        macs = sum(size(axes) * places for axes, places in self._kernels)
        return Cost(params, macs)

    def _add(self, node, first, seen):
        rule = base.rule_for(node.layer)
        axes_of = {
            id(base.variable(node.layer, name)): axes
            for name, axes in first.axes.items()
        }
        for weight in getattr(node.layer, "weights", ()):
            if id(weight) not in seen:
                seen.add(id(weight))
                units = axes_of.get(id(weight), (None,) * len(weight.shape))
                self._weights.append(_axes(weight, units))
        for name, places in rule.products(node).items():
            kernel = base.variable(node.layer, name)
            self._kernels.append((_axes(kernel, first.axes[name]), places))


def _axes(weight, units):
    return [
        int(length) if x is None else x
        for length, x in zip(weight.shape, units)
    ]


@functools.cache  # Each model is counted many times in a run.
def _warn(names):
    if names:
        logging.warning(
            "Multiply-accumulates leave out products of these layers, for "
            "which there is no rule or no kernel: %s.",
            ", ".join(names),
        )
