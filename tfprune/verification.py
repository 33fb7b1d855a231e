"""The proof that models compute the same."""

import functools

import keras
from keras import tree
import numpy as np
import tensorflow as tf

from tfprune import feeds
from tfprune import graph as graph_lib
from tfprune import masking
from tfprune import program

TOLERANCE = 1e-4  # of the largest output
# The same for a model that computes in half precision: 8 times the distance of
# 1 from the next number. A sum in another order differs by about 1 of them.
HALF_TOLERANCES = {"float16": 2**-7, "bfloat16": 2**-4}


class VerificationError(Exception):
    """A compacted model does not compute what the masked one does."""


class Proof:
    """Compares a masked model, with the masks it has at the time, with others.

    The masked model is traced once, for all its masks and weights; what else
    changes in its layers after the first comparison is not seen.

    Args:
        masked: A masked model.
        inputs: Inputs of the model, batched. Defaults to two random examples.

    Attributes:
        masked: The masked model.
    """

    def __init__(self, masked, inputs=None):
        self.masked = masked
        self._inputs = random_inputs(masked) if inputs is None else inputs

    def verify(self, small):
        """Returns the figures of the function `verify`.

        Args:
            small: What `compact` made of the masked model.

        Raises:
            ValueError: As the function `verify` does.
            VerificationError: The same.
        """
        rule = "The compacted model must compute what the masked one does"
        return self._compare(small, rule)

    def verify_copy(self, model):
        """Checks that a model computes what its copy does, with open masks.

        Masked and compacted models are made of what the graph of a model
        shows: the calls of its layers, their configs and weights. What else a
        model does is in neither, and only this comparison can find it.

        Args:
            model: What `mask_model` made the masked one of.

        Raises:
            ValueError: As `verify` does.
            VerificationError: The same.
        """
        rule = (
            "The model must compute what its graph shows, the calls of its "
            "layers with their configs and weights, without random numbers"
        )
        self._compare(model, rule)

    @functools.cached_property
    def _run_masked(self):
        return _traced(self.masked, self._inputs)

    def _compare(self, other, rule):
        """Returns the figures of `verify`; raises `rule` if models differ."""
        _check_same_layers(self.masked, other)
        actual = _traced(other, self._inputs)()
        figures = _differences(actual, self._run_masked())
        tolerance = _tolerance(other)
        for difference, largest in figures:
            if not np.isfinite(largest):
                raise VerificationError(
                    "Models can be compared only where their outputs are "
                    f"finite. Received: {largest} from {self.masked.name!r}. "
                    "Look for weights that are not finite, and for operations "
                    "such as `log` that random inputs do not suit."
                )
            if not _equal(difference, largest, tolerance):
                layer = _first_to_part(
                    self.masked, other, self._inputs, tolerance
                )
                raise VerificationError(
                    f"{rule}, up to {tolerance} of the largest output, "
                    f"{largest:.3g}. Received a difference of "
                    f"{difference:.3g}; they part at layer {layer!r}."
                )
        differences, outputs = zip(*figures)
        return {
            "max_abs_difference": max(differences),
            "max_abs_output": max(outputs),
        }


def verify(masked, small, inputs=None):
    """Compares a masked model with the compacted one, in inference mode.

    Args:
        masked: A masked model.
        small: What `compact` made of it.
        inputs: Inputs of the model, batched. Defaults to two random examples.

    Returns:
        dict with `max_abs_difference` and `max_abs_output`.

    Raises:
        ValueError: If the models have other layers or outputs.
        VerificationError: If the difference in an output is larger than 1e-4
            times the largest number of that output, 1/128 or 1/16 times in
            float16 or bfloat16, or not finite; names the layer where they
            part.
    """
    return Proof(masked, inputs).verify(small)


def random_inputs(model, batch_size=2, seed=0):
    """Returns a batch of inputs in the structure of a model's.

    Numbers are drawn from the standard normal distribution; integers are 0 or
    1, which every vocabulary has, and strings empty; unknown sizes are 96,
    enough for the strides of common networks.

    Args:
        model: A built `keras.Model`, or a `serving.Served`.
        batch_size: Number of examples, where the model does not fix it.
            Defaults to 2.
        seed: Of the draws. Defaults to 0.
    """
    rng = np.random.default_rng(seed)

    sequential = isinstance(model, keras.Sequential)
    specs = model.inputs[0] if sequential else model.input
    fixed = [x.shape[0] for x in tree.flatten(specs) if x.shape[0]]
    examples = max(fixed, default=batch_size)

    def draw(spec):
        first, *lengths = spec.shape
        shape = [first or examples, *(length or 96 for length in lengths)]
        dtype = keras.backend.standardize_dtype(spec.dtype)
        if dtype == "string":
            return np.full(shape, b"")
        if keras.backend.is_float_dtype(dtype):
            return rng.standard_normal(shape).astype(dtype)
        return rng.integers(0, 2, shape).astype(dtype)

    return tree.map_structure(draw, specs)


def difference(actual, expected):
    """Returns how far an output is from another, and how large that one is.

    Strings are near if they are the same, far if not, and have no size.

    Args:
        actual: An array.
        expected: Another.

    Returns:
        `(largest difference, largest number of expected)`.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    if any(array.dtype.kind in "OSU" for array in (actual, expected)):
        return 0.0 if np.array_equal(actual, expected) else np.inf, 0.0
    expected = expected.astype(np.result_type(expected, float))
    alike = actual.shape == expected.shape
    apart = np.abs(actual - expected).max(initial=0.0) if alike else np.inf
    return float(apart), float(np.abs(expected).max(initial=0.0))


def _check_same_layers(masked, other):
    others = masking.plain_paths(masked) ^ masking.plain_paths(other)
    counts = len(masked.outputs), len(other.outputs)
    if others or counts[0] != counts[1]:
        raise ValueError(
            "`small` must have the layers and outputs of `masked`, as what "
            f"`compact` makes of it has. Received: {sorted(others)} in one of "
            f"them alone, and {counts[0]} and {counts[1]} outputs."
        )


def _traced(model, inputs):
    """Returns a function of no arguments to the outputs, in a flat list."""
    inputs = tf.nest.map_structure(
        tf.convert_to_tensor, inputs, expand_composites=True
    )

    @tf.function
    def run():
        return tree.flatten(model(inputs, training=False))

    return run.get_concrete_function()


def _differences(actual, expected):
    return [difference(*pair) for pair in zip(actual, expected)]


def _equal(difference, largest, tolerance):
    return difference <= tolerance * largest  # NaN is never equal.


def _tolerance(model):
    """Returns that of the least precise layer of a model."""
    layers = program.layers_by_path(model).values()
    return max(
        (HALF_TOLERANCES.get(x.compute_dtype, TOLERANCE) for x in layers),
        default=TOLERANCE,
    )


def _first_to_part(masked, other, inputs, tolerance):
    """Returns the path of the first layer whose outputs differ."""
    graph = masking.trace_masked(masked)
    keep = masking.get_mask(masked, graph)
    expected = _outputs(masked, inputs)
    units_of = {node.path: node.outputs for node in reversed(graph.nodes)}
    for path, values in _outputs(other, inputs).items():
        if path not in units_of:  # An operation, which has no name to compare.
            return path
        values_masked = expected.get(f"{path}_mask", expected[path])
        sliced = [
            _sliced(np.asarray(value), array, keep)
            for value, array in zip(values_masked, units_of[path])
        ]
        figures = _differences(values, sliced)
        if not all(_equal(*pair, tolerance) for pair in figures):
            return path
    return "the output"


def _outputs(model, inputs):
    """Returns {path: outputs} of the first call of every layer."""
    code = program.program(model)
    paths = list(dict.fromkeys(call.path for call in code.calls))

    @tf.function(autograph=False)
    def outputs(given):  # In a graph, as the models were compared.
        found = {}

        def run(call, *args, **kwargs):
            result = call.layer(*args, **kwargs)
            found.setdefault(call.path, tree.flatten(result))
            return result

        values = dict(zip(map(id, code.inputs), given))
        program.replay(code.calls, values, run)
        return [found[path] for path in paths]

    given = feeds.flat_inputs(model, inputs)
    return dict(zip(paths, outputs(given)))


def _sliced(value, units, keep):
    for axis, length in enumerate(units.shape, 1):
        if length > 1:
            index = graph_lib.stays(keep, units).ravel()
            value = np.compress(index, value, axis)
    return value
