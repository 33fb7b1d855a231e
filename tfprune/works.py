"""Calls of a graph at a mask, as models that can be measured."""

import functools
import json

import keras
from keras import tree

from tfprune import canonical
from tfprune import compaction
from tfprune import graph as graph_lib
from tfprune import program
from tfprune.rules import base


class Work:
    """Some calls of a graph at a mask: a model, with weights of no meaning."""

    def __init__(self, calls, outputs, keep, graph):
        self._calls = calls
        self._outputs = outputs
        self._first = graph.node_of
        self._keep = keep
        self._inputs = {}  # by `id` of a tensor: its shape and type
        made = set()
        for call, node in calls:
            arrays = zip(call.inputs, node.inputs, node.input_shapes)
            for tensor, units, shape in arrays:
                if id(tensor) not in made:
                    kept = _kept_shape(self._stays(units), shape)
                    self._inputs[id(tensor)] = kept, tensor.dtype
            made |= {id(tensor) for tensor in call.outputs}
        for tensor in outputs:
            if id(tensor) not in made:  # An input, handed on as it is.
                whole = tensor.shape[1:], tensor.dtype
                self._inputs.setdefault(id(tensor), whole)

    @functools.cached_property
    def key(self):
        """A text that is the same for the same work."""
        numbers, lines = {}, [list(self._inputs.values())]
        for name in self._inputs:
            numbers[name] = len(numbers)
        for call, _ in self._calls:
            config = self._config(call.layer)
            config = {k: v for k, v in config.items() if k != "name"}
            arguments = tree.map_structure(
                lambda x: numbers.get(id(x), repr(x)), (call.args, call.kwargs)
            )
            layer = numbers.setdefault(id(call.layer), len(numbers))
            for tensor in call.outputs:
                numbers[id(tensor)] = len(numbers)
            kind = type(call.layer).__name__
            lines.append([kind, layer, config, arguments])
        text = json.dumps(lines, default=str, sort_keys=True)
        return canonical.digest(text.encode())

    def model(self):
        """Returns the `keras.Model`."""
        values = {
            name: keras.Input(shape, dtype=dtype)
            for name, (shape, dtype) in self._inputs.items()
        }
        inputs, layers = list(values.values()), {}
        nodes = {id(call): node for call, node in self._calls}

        def run(call, *args, **kwargs):
            if call.layer not in layers:
                config = self._config(call.layer)
                if "name" in config:  # Of two nested models it can be the same.
                    config["name"] = f"layer_{len(layers)}"
                layers[call.layer] = type(call.layer).from_config(config)
            rule = base.rule_for(call.layer)
            args = rule.arguments(nodes[id(call)], args, self._stays)
            return layers[call.layer](*args, **kwargs)

        program.replay([call for call, _ in self._calls], values, run)
        outputs = [values[id(x)] for x in self._outputs]
        names = map("output_{}".format, range(len(outputs)))
        return keras.Model(inputs, dict(zip(names, outputs)))

    def _config(self, layer):
        return compaction.resized(self._first[layer], self._stays)

    def _stays(self, units):
        return graph_lib.stays(self._keep, units)


def _kept_shape(stays, shape):
    """Returns the shape of one example of which only some entries stay."""
    kept = []
    for axis, length in enumerate(shape):
        others = tuple(x for x in range(stays.ndim) if x != axis)
        told = stays.shape[axis] > 1
        kept.append(int(stays.any(axis=others).sum()) if told else length)
    if None in kept:
        raise ValueError(
            "A latency can be measured only where all sizes are known. "
            f"Received: shape={shape}. Build the model with a fixed input size."
        )
    return kept
