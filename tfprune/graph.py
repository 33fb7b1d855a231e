"""What is known of the channels of a model: which stay or go together."""

import collections
import functools

import numpy as np

from tfprune import explanation
from tfprune import gates as gates_lib
from tfprune import groups as groups_lib
from tfprune.rules import base


class ChannelGraph:
    """The units of a model: which channels stay or go together.

    Attributes:
        num_units: How many units there are.
        prunable: bool, [num_units]; the others are frozen.
        reasons: For each unit, why it is frozen, or None.
        nodes: A `Node` for each call, in topological order.
        program: The `Program` that was traced.
    """

    def __init__(self, code, inputs, nodes, units):
        resolved, shown, self.reasons = units.numbers()
        self._inputs = {
            name: resolved[array.ravel()] for name, array in inputs.items()
        }
        self.program = code
        self.nodes = [node.numbered(resolved) for node in nodes]
        self.num_units = len(self.reasons)
        self.prunable = np.array([why is None for why in self.reasons], bool)
        # The units of the first call of each layer.
        self._shown = {name: [units] for name, units in self._inputs.items()}
        for node in nodes:
            for path, arrays in node.arrays.items():
                self._shown.setdefault(path, [shown[x] for x in arrays])

    def layer_units(self, layer_name):
        """Returns the unit of each output channel of a layer.

        Args:
            layer_name: Name of a layer or operation, `outer/inner` in a nested
                model; `name/value_dense` for the heads of an attention.

        Returns:
            int, [channels]; -1 where a channel has no unit. A list of those
            for several outputs.

        Raises:
            ValueError: If there is no such layer.
        """
        if layer_name not in self._shown:
            raise ValueError(
                f"`layer_name` must be one of {sorted(self._shown)}. "
                f"Received: {layer_name!r}."
            )
        outputs = [x.ravel() for x in self._shown[layer_name]]
        return outputs[0] if len(outputs) == 1 else outputs

    @functools.cached_property
    def node_of(self):
        """The first `Node` of each layer or operation."""
        first = {}
        for node in self.nodes:
            first.setdefault(node.layer, node)
        return first

    @functools.cached_property
    def gates(self):
        """The `Gate`s by path: all masks that prunable units need."""
        return gates_lib.find(self.program, self.nodes, self.prunable)

    @functools.cached_property
    def uncounted(self):
        """Paths of the layers that the multiply-accumulates leave out."""
        found = [x.path for x in self.nodes if not base.counted(x.layer)]
        return tuple(dict.fromkeys(found))

    @functools.cached_property
    def unit_sets(self):
        """The units of every output of a layer, each set of them once."""
        arrays = [a for n in self.nodes for a in sum(n.arrays.values(), [])]
        each = [np.unique(array[array >= 0]) for array in arrays]
        return list({units.tobytes(): units for units in each}.values())

    @functools.cached_property
    def owners(self):
        """The layer that each unit is listed under, its first, {unit: name}."""
        owners = {}
        for node in self.nodes:
            for path, arrays in node.arrays.items():
                for unit in dict.fromkeys(_flat(arrays).tolist()):
                    owners.setdefault(unit, path)
        owners.pop(-1, None)  # what has no unit
        return owners

    @functools.cached_property
    def groups(self):
        """The `Groups` of the units."""
        return groups_lib.Groups(self)

    @functools.cached_property
    def group_names(self):
        """{group: its first layer, and a number if others come before it}.

        Frozen ones count, too, so that names stay when a group freezes.
        """
        names, counts = {}, collections.Counter()
        for unit, owner in self.owners.items():
            group = self.groups.of_unit[unit]
            if group not in names:
                counts[owner] += 1
                number = f" #{counts[owner]}" if counts[owner] > 1 else ""
                names[group] = f"{owner}{number}"
        return {x: name for x, name in names.items() if self.groups.prunable[x]}

    @functools.cached_property
    def edges(self):
        """Pairs of names of rows, of which the second reads the first."""
        names = dict(zip(map(id, self.program.inputs), self._inputs))
        edges = {}
        for call, rows in zip(self.program.calls, self._row_names):
            name = rows[call.path]
            for tensor in call.inputs:
                edges[names[id(tensor)], name] = None
            names.update((id(tensor), name) for tensor in call.outputs)
        return list(edges)

    def check(self, keep):
        """Returns `keep` as a bool array that removes no frozen unit.

        Args:
            keep: [num_units], True for the units that stay.

        Raises:
            ValueError: If the shape is another, a frozen unit is removed, or
                all channels of a layer are; names the layer.
        """
        keep = np.asarray(keep)
        if keep.shape != (self.num_units,) or keep.dtype != bool:
            raise ValueError(
                f"`keep` must be bool of shape [{self.num_units}]. "
                f"Received: {keep.dtype} of shape {list(keep.shape)}."
            )
        lost = np.flatnonzero(~keep & ~self.prunable)
        if len(lost):
            unit = int(lost[0])
            name = self.owners.get(unit, "input")
            raise ValueError(
                f"`keep` must be True for frozen units. Received: False for "
                f"{len(lost)} of them, first unit {unit} of layer {name!r} "
                f"({self.reasons[unit]}). Start from `~graph.prunable`."
            )
        for node in self.nodes:
            for path, arrays in node.arrays.items():
                if not all(stays(keep, array).any() for array in arrays):
                    raise ValueError(
                        f"`keep` must leave a channel in every layer. Received "
                        f"none for layer {path!r}."
                    )
        return keep

    def explain(self):
        """Returns an `Explanation` with a `Row` for each layer.

        A layer that is called again has another row if its channels are others
        then, or in another order.
        """
        rows = {
            name: self._row(name, "InputLayer", units, True)
            for name, units in self._inputs.items()
        }
        for node, names in zip(self.nodes, self._row_names):
            kind = type(node.layer).__name__
            for path, arrays in node.arrays.items():
                name, counted = names[path], path not in self.uncounted
                if name not in rows:
                    rows[name] = self._row(name, kind, _flat(arrays), counted)
        return explanation.Explanation(rows.values())

    @functools.cached_property
    def _row_names(self):
        """For each of the nodes, {path: the name of the row it is told in}."""
        calls, rows = collections.defaultdict(dict), []
        for node in self.nodes:
            rows.append({})
            for path, arrays in node.arrays.items():
                seen = calls[path]
                number = seen.setdefault(_flat(arrays).tobytes(), len(seen) + 1)
                again = f" (call {number})" if number > 1 else ""
                rows[-1][path] = f"{path}{again}"
        return rows

    def _row(self, name, kind, units, counted):
        groups, reasons = collections.Counter(), collections.Counter()
        for unit in units.tolist():
            why = base.SHAPE if unit < 0 else self.reasons[unit]
            if why is None:
                groups[self.group_names[self.groups.of_unit[unit]]] += 1
            else:
                reasons[why] += 1
        return explanation.Row(
            name, kind, units.size, dict(groups), dict(reasons), counted
        )

    def widths(self, keep):
        """Returns the channels of each layer before and after a mask.

        Args:
            keep: bool, [num_units].

        Returns:
            A list of dicts, one for each layer with a kernel, of `name`,
            `channels_before`, `channels_after`, `prunable` and `reason`, why
            the others stay.
        """
        rows = {row.name: row for row in self.explain()}
        return [
            {
                "name": path,
                "channels_before": units.size,
                "channels_after": int(stays(keep, units).sum()),
                "prunable": rows[path].prunable,
                "reason": ", ".join(rows[path].reasons),
            }
            for node in self.node_of.values()
            if base.rule_for(node.layer).kernels
            for path, (units, *_) in node.arrays.items()
        ]


def stays(keep, units):
    """Returns which entries of `units` stay; channels without a unit do."""
    return np.append(keep, True)[units]


def _flat(arrays):
    return np.concatenate([x.ravel() for x in arrays])
