"""How fast models are, side by side."""

import keras
import tensorflow as tf

from tfprune import timing
from tfprune import verification

BATCH_SIZES = (1, 8)


def compare(models, batch_sizes=BATCH_SIZES, runs=20):
    """Returns the times of models on random inputs; the models take turns.

    Args:
        models: {name: `serving.Served`}.
        batch_sizes: Of the inputs. Defaults to 1 and 8.
        runs: Samples of each model at each batch size. Defaults to 20.

    Returns:
        {name: {batch size: `timing.Times` of a call}}.

    Raises:
        ValueError: If there is no model or no run.
    """
    times = {name: {} for name in models}
    for size in batch_sizes:
        for name, each in timing.measure(calls(models, size), runs).items():
            times[name][size] = each
    return times


def calls(models, batch_size):
    """Returns functions that call models on random inputs, {name: function}.

    Args:
        models: As for `compare`.
        batch_size: Of the inputs.
    """
    return {name: _call(model, batch_size) for name, model in models.items()}


def plain(times):
    """Returns the times of one model, {batch size: `Times`}, as plain dicts."""
    return {
        str(size): {k: v._asdict() for k, v in each._asdict().items()}
        for size, each in times.items()
    }


def _call(model, batch_size):
    inputs = verification.random_inputs(model, batch_size)
    inputs = keras.tree.map_structure(tf.convert_to_tensor, inputs)
    return lambda: model.call(inputs)
