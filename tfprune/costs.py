"""Parameters and multiply-accumulates of a model at a mask."""

import collections
import functools
import math
from typing import NamedTuple

from absl import logging
import keras
import numpy as np

from tfprune import masking
from tfprune import tracing
from tfprune.rules import base


_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


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
    """Counts what many masks of one graph leave.

    Each resource is a function of the widths, [..., groups], of `groups`.

    Attributes:
        groups: The `Groups` of the graph.
    """

    def __init__(self, graph):
        self.groups = graph.groups
        self._graph = graph

    def __call__(self, keep):
        """Returns the `Cost` with the units of `keep`, bool [num_units]."""
        widths = self.groups.widths(keep)
        return Cost(int(self.params(widths)), int(self.macs(widths)))

    def units(self, widths):
        """Returns how many prunable units there are, [...]."""
        return widths @ self.groups.prunable

    def params(self, widths):
        """Returns how many weights there are, [...]."""
        return self._weights(widths)

    def macs(self, widths):
        """Returns the multiply-accumulates for one example, [...].

        Raises:
            ValueError: If a size that they depend on is unknown.
        """
        return self._kernels(widths)

    def convolutions(self, widths):
        """Returns how many weights the kernels of convolutions have, [...]."""
        return self._convolutions(widths)

    @functools.cached_property
    def _convolutions(self):
        nodes = self._graph.node_of.values()
        products = [
            _axes(base.variable(node.layer, name), node.axes[name])
            for node in nodes
            if isinstance(node.layer, _CONVOLUTIONS)
            for name in base.rule_for(node.layer).kernels
        ]
        return _Products(self.groups, products)

    @functools.cached_property
    def _weights(self):
        first, seen = self._graph.node_of, set()
        products = [
            axes
            for node in self._graph.nodes
            for axes in _weights(node, first[node.layer], seen)
        ]
        return _Products(self.groups, products)

    @functools.cached_property
    def _kernels(self):
        _warn(self._graph.uncounted)
        first = self._graph.node_of
        products = [
            axes
            for node in self._graph.nodes
            for axes in _kernels(node, first[node.layer])
        ]
        return _Products(self.groups, products)


class Counts:
    """Counts one resource of a graph."""

    digits = 0

    def __init__(self, graph, resource):
        meter = Meter(graph)
        self.groups = meter.groups
        self._count = getattr(meter, resource)

    def __call__(self, widths):
        """Returns the amount at some widths, [..., groups] to [...]."""
        return self._count(widths)

    def measured(self, keep):
        """Returns what the finished model takes."""
        return int(self(self.groups.widths(keep)))


class _Products:
    """A sum of products of axis lengths, in floats that hold integers exactly.

    Args:
        groups: `Groups`.
        products: Lists of factors, each an int or the units of an axis.
    """

    def __init__(self, groups, products):
        one, times, places = groups.times([-1]), [], {}

        def place(units):
            """Returns the row of `times` that tells the length of an axis."""
            key = units.tobytes()
            if key not in places:
                places[key] = len(times)
                times.append(groups.times(units))
            return places[key]

        terms = collections.Counter()
        for factors in products:
            numbers = [x for x in factors if isinstance(x, int)]
            axes = [place(x) for x in factors if not isinstance(x, int)]
            terms[tuple(sorted(axes))] += math.prod(numbers)
        # The last row, an axis of length 1, fills up what has fewer axes.
        rank = max(map(len, terms), default=0)
        padded = [(*axes, *[-1] * (rank - len(axes))) for axes in terms]
        self._times = np.array([*times, one], float).T
        self._axes = np.array(padded, int).reshape(len(terms), rank)
        self._numbers = np.array(list(terms.values()), float)

    def __call__(self, widths):
        lengths = widths @ self._times
        return lengths[..., self._axes].prod(axis=-1) @ self._numbers


def _weights(node, first, seen):
    """Yields the axes of each weight of a layer that was not seen yet."""
    axes_of = {
        id(base.variable(node.layer, name)): axes
        for name, axes in first.axes.items()
    }
    for weight in getattr(node.layer, "weights", ()):
        if id(weight) not in seen:
            seen.add(id(weight))
            units = axes_of.get(id(weight), (None,) * len(weight.shape))
            yield _axes(weight, units)


def _kernels(node, first):
    """Yields the axes of each kernel of a call, and its positions."""
    products = base.rule_for(node.layer).products(node)
    for name, places in products.items():
        kernel = base.variable(node.layer, name)
        yield [*_axes(kernel, first.axes[name]), places]


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
