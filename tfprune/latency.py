"""Latency of a model at any widths, from a table measured on this machine."""

import collections
import itertools

from absl import logging
import keras
from keras import tree
import numpy as np
from scipy import interpolate
from scipy import optimize

from tfprune import measuring
from tfprune import timing
from tfprune import works as works_lib
from tfprune.rules import base

MARGIN = 1.025
CALL = "call"  # The name of what a call takes that does nothing.
PART = measuring.Effort(runs=3, sample_ms=5.0, processes=1)
WHOLE = measuring.Effort(runs=21, sample_ms=timing.SAMPLE_MS, processes=5)
AT_ONCE = 32  # Parts that are measured, at all widths, before they are kept.
SHARES = 0.125, 0.25, 0.5, 1.0  # of the units of each group, where measured


class Latency:
    """Milliseconds that a model takes at some widths.

    The parts of a model, each a call with the pointwise ones that follow it
    alone, are measured at a few widths of what they read and of what they
    write, and interpolated between these. Their sum is read on the rising line
    nearest to the sums and times of the whole models that were measured, at
    first nothing and the dense one.

    Args:
        graph: A `ChannelGraph`.
        batch_size: Number of examples in a call.
        threads: Number of threads of TensorFlow.
        path: The JSON file that keeps what was measured.

    Attributes:
        groups: The `Groups` of the graph.
        digits: Decimal places that are told of an amount.
    """

    digits = 5

    def __init__(self, graph, batch_size, threads, path):
        self.groups = graph.groups
        self._graph = graph
        self._store = measuring.Store(path, batch_size, threads)
        self._everything = np.ones(graph.num_units, bool)
        parts = [_Part(calls, graph) for calls in _split(graph)]
        self._parts = self._measured_parts(parts)
        call = self._store[CALL]
        self._line = {call * len(parts): call}  # the time by the sum of parts
        self._dense = None
        self._dense = self.measured(self._everything)

    def __call__(self, widths):
        """Returns the milliseconds at some widths, [..., groups] to [...].

        They have a margin, for measuring is not exact.
        """
        sums = sorted(self._line)
        times = optimize.isotonic_regression([self._line[x] for x in sums]).x
        return MARGIN * np.interp(self._sum(widths), sums, times)

    def measured(self, keep):
        """Returns what the finished model takes, and puts it on the line.

        It is timed in turn with the dense model. The ratio of the two counts,
        multiplied by the time of the dense model when it was first measured.

        Args:
            keep: bool, [num_units].
        """
        dense, small = map(self._work, (self._everything, keep))
        key, beside = f"{small.key}-{dense.key}", f"{dense.key}-{small.key}"
        if key not in self._store:
            pair = {beside: dense.model, key: small.model}
            self._store.measure([pair], WHOLE)
        ratio = self._store[key] / self._store[beside]
        amount = ratio * (self._dense or self._store[beside])
        self._line[float(self._sum(self.groups.widths(keep)))] = amount
        return round(amount, self.digits)

    def _sum(self, widths):
        return sum(part(widths) for part in self._parts)

    def _work(self, keep):
        """Returns the `Work` of the whole model."""
        calls = list(zip(self._graph.program.calls, self._graph.nodes))
        outputs = tree.flatten(self._graph.program.outputs)
        return works_lib.Work(calls, outputs, keep, self._graph)

    def _measured_parts(self, parts):
        """Returns functions from widths to the milliseconds of each part.

        Measures what no table holds.
        """
        rows = [part.works() for part in parts]
        batches, asked = [], set()
        for models in [{CALL: _nothing}, *map(_models, rows)]:
            new = {
                key: make
                for key, make in models.items()
                if key not in self._store and key not in asked
            }
            asked |= new.keys()
            if new:
                batches.append(new)
        for i in range(0, len(batches), AT_ONCE):
            self._store.measure(batches[i : i + AT_ONCE], PART)
            done = min(i + AT_ONCE, len(batches))
            logging.info("Timed %d of %d new parts", done, len(batches))
        return [
            part.interpolated([self._store[work.key] for work in row])
            for part, row in zip(parts, rows)
        ]


class _Part:
    """Calls that are measured together, at shares of their widths."""

    def __init__(self, calls, graph):
        self._calls, self._graph = calls, graph
        self._outputs = calls[-1][0].outputs
        reads = self._groups_of(calls[0][1].inputs)
        writes = self._groups_of(calls[-1][1].outputs) & ~reads
        self._axes = [np.flatnonzero(x) for x in (reads, writes) if x.any()]
        full = graph.groups.widths(np.ones(graph.num_units, bool))
        self._points = []  # of each axis: the widths of its groups, [n, groups]
        for axis in self._axes:
            points = [np.ceil(share * full[axis]) for share in SHARES]
            self._points.append(np.unique(points, axis=0).astype(int))

    def works(self):
        """Returns the `Work` at each point of the grid, in order."""
        return [
            works_lib.Work(
                self._calls, self._outputs, self._mask(point), self._graph
            )
            for point in itertools.product(*self._points)
        ]

    def interpolated(self, times):
        """Returns a function from widths to milliseconds, which none lowers.

        Args:
            times: Those of `works`.
        """
        if not self._axes:
            return lambda widths: times[0]
        values = np.reshape(times, [len(points) for points in self._points])
        for axis in range(values.ndim):
            values = np.maximum.accumulate(values, axis)
        sums = [points.sum(axis=1) for points in self._points]
        table = interpolate.RegularGridInterpolator(sums, values)

        def predicted(widths):
            places = [
                np.clip(widths[..., axis].sum(axis=-1), each[0], each[-1])
                for axis, each in zip(self._axes, sums)
            ]
            return table(np.stack(places, axis=-1)).reshape(places[0].shape)

        return predicted

    def _groups_of(self, arrays):
        """Returns which prunable groups lie in some tensors, [groups]."""
        groups = self._graph.groups
        times = sum(groups.times(units) for units in arrays)
        return (np.asarray(times) > 0) & groups.prunable

    def _mask(self, point):
        """Returns the mask that keeps so many units of each group."""
        keep = np.ones(self._graph.num_units, bool)
        for axis, widths in zip(self._axes, point):
            for group, width in zip(axis, widths):
                units = np.flatnonzero(self._graph.groups.of_unit == group)
                keep[units[width:]] = False
        return keep


def _models(works):
    """Returns {key: function that makes the model} of some `Work`s."""
    return {work.key: work.model for work in works}


def _nothing():
    """Returns a model that only hands its input on."""
    return keras.Sequential([keras.Input([1]), keras.layers.Identity()])


def _split(graph):
    """Returns the parts of a graph, lists of pairs of a call and its node."""
    calls = graph.program.calls
    uses = collections.Counter(id(x) for call in calls for x in call.inputs)
    uses.update(id(x) for x in tree.flatten(graph.program.outputs))
    parts, ends = [], {}  # the part that ends in a tensor
    for call, node in zip(calls, graph.nodes):
        alone = [x for x in call.inputs if uses[id(x)] == 1]
        follows = base.rule_for(call.layer).pointwise and len(call.inputs) == 1
        part = ends.get(id(alone[0])) if follows and alone else None
        if part is None:
            part = []
            parts.append(part)
        part.append((call, node))
        ends.update((id(tensor), part) for tensor in call.outputs)
    return parts
