"""Checks before training: that model, data, loss and optimizer fit together."""

import math
import numbers
import os

import keras
import numpy as np
import tensorflow as tf

from tfprune import feeds
from tfprune import losses as losses_lib
from tfprune import program

# What a Keras optimizer does to gradients or weights besides its own rule.
_OPTIMIZER_OPTIONS = (
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "gradient_accumulation_steps",
    "loss_scale_factor",
    "use_ema",
)
_WRAPPERS = (
    keras.optimizers.LossScaleOptimizer,
    getattr(keras.optimizers, "MultiOptimizer", ()),  # Keras 3.12 has none.
)


def check_run(model, datasets, loss_fn):
    """Raises an error if a model cannot be read, or does not fit its data.

    Args:
        model: As for `check_batch`.
        datasets: `tf.data.Dataset`s, each as for `check_batch`, or None.
        loss_fn: As for `check_batch`.

    Raises:
        ValueError: As `program.program` and `check_batch` do.
    """
    program.program(model)
    for dataset in datasets:
        if dataset is not None:
            check_batch(model, dataset, loss_fn)


def check_batch(model, dataset, loss_fn):
    """Raises an error if one batch shows that training would go wrong.

    Class numbers in later batches are checked by TensorFlow's cross-entropy: a
    wrong one stops training on a CPU, and makes the loss NaN on a GPU.

    Args:
        model: A built `keras.Model`.
        dataset: A `tf.data.Dataset` of batched `(inputs, labels)`.
        loss_fn: Called as `loss_fn(labels, outputs)`, returns [batch].

    Raises:
        ValueError: If the dataset is empty or does not yield batched
            `(inputs, labels)`, if the inputs do not have the shape of the
            model's, if a label is not one of the classes, or if the loss is
            not one number for each example.
    """
    check_pairs(dataset)
    batch = next(iter(dataset.take(1)), None)
    if batch is None:
        raise ValueError("The dataset must not be empty. Received: 0 batches.")
    check_examples(model, *batch, loss_fn)


def check_pairs(dataset):
    """Raises an error if a dataset does not yield pairs; reads nothing of it.

    Args:
        dataset: Anything; it must be a `tf.data.Dataset` of two parts.

    Raises:
        ValueError: If it is something else.
    """
    element = getattr(dataset, "element_spec", None)
    if not isinstance(element, tuple) or len(element) != 2:
        raise ValueError(
            "The dataset must be a tf.data.Dataset that yields (inputs, "
            f"labels). Received: {dataset!r}."
        )
    if any(spec.shape.rank is None for spec in tf.nest.flatten(element)):
        raise ValueError(
            "The dataset must tell how many axes its tensors have. Received: "
            f"{element}. Map it through `tf.ensure_shape`, or give "
            "`from_generator` an `output_signature`."
        )


def check_examples(model, inputs, labels, loss_fn):
    """Raises an error if a batch, the model and the loss do not fit.

    Args:
        model: As for `check_batch`.
        inputs: A batch, [batch, ...], or a nest of them.
        labels: Of these inputs.
        loss_fn: As for `check_batch`.

    Raises:
        ValueError: As for `check_batch`.
    """
    _check_inputs(model, inputs)
    outputs = model(inputs, training=False)
    if losses_lib.may_be_classes(labels, outputs):
        _check_classes(labels, outputs)
    losses = tf.convert_to_tensor(loss_fn(labels, outputs))
    batch = tf.nest.flatten(inputs)[0].shape[0]
    if losses.shape != [batch]:
        raise ValueError(
            f"`loss_fn` must return one loss for each example, [{batch}]. "
            f"Received: loss of shape {losses.shape}; make Keras losses with "
            "`reduction=None`."
        )


def check_counts(least=1, **counts):
    """Raises an error if a number is no count.

    Args:
        least: The least that it may be.
        **counts: {name of an argument: its value}.

    Raises:
        ValueError: If a value is not an int of at least that.
    """
    for name, value in counts.items():
        integer = isinstance(value, (int, np.integer))
        if not integer or isinstance(value, bool) or value < least:
            raise ValueError(
                f"`{name}` must be an int of at least {least}. "
                f"Received: {name}={value!r}."
            )


def check_number(least=0.0, below=math.inf, **values):
    """Raises an error if an argument is no number of a range.

    Args:
        least: The least that it may be. Defaults to 0.
        below: What it must be below. Defaults to infinity.
        **values: {name of an argument: its value}.

    Raises:
        ValueError: If a value is something else.
    """
    for name, value in values.items():
        real = isinstance(value, numbers.Real)
        if not real or isinstance(value, bool) or not least <= value < below:
            raise ValueError(
                f"`{name}` must be a number of at least {least:g} and below "
                f"{below:g}. Received: {name}={value!r}."
            )


def begin_alike(first, second):
    """Returns whether the first elements of two datasets are equal.

    Args:
        first: `tf.data.Dataset` that is not empty.
        second: Another one.
    """
    pair = [next(iter(each.take(1)), None) for each in (first, second)]
    flat = [tf.nest.flatten(each) for each in pair]
    return len(flat[0]) == len(flat[1]) and all(
        np.array_equal(a, b) for a, b in zip(*flat)
    )


def check_optimizer(optimizer):
    """Raises an error for an optimizer that does more than its own rule.

    Args:
        optimizer: Anything; it must be a `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If it is none, or if it clips, scales, accumulates or
            averages, which Keras does with each replica's part of a gradient
            or leaves to `Model.fit`.
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(
            "`optimizer` must be a keras.optimizers.Optimizer. "
            f"Received: optimizer={optimizer!r}."
        )
    if isinstance(optimizer, _WRAPPERS):
        raise ValueError(
            "`optimizer` must not wrap other optimizers. "
            f"Received: {type(optimizer).__name__}; pass the inner one."
        )
    for name in _OPTIMIZER_OPTIONS:
        if value := getattr(optimizer, name):
            raise ValueError(
                "`optimizer` must apply its rule only. "
                f"Received: {name}={value}; to clip, pass `clip_norm` to the "
                "Trainer."
            )


def check_kind(kind, **arguments):
    """Raises an error if an argument is no object of a class.

    Args:
        kind: The class.
        **arguments: {name: value}.

    Raises:
        ValueError: If a value is something else, such as the class itself.
    """
    for name, value in arguments.items():
        if not isinstance(value, kind):
            raise ValueError(
                f"`{name}` must be a {kind.__name__}, made with its arguments. "
                f"Received: {name}={value!r}."
            )


def check_arguments(datasets, loss_fn, output_dir, seed):
    """Raises an error if an argument that all runs take is no such thing.

    Args:
        datasets: Each as for `check_pairs`.
        loss_fn: A function, or an object that is called like one.
        output_dir: A path.
        seed: As for `keras.utils.set_random_seed`, or None.

    Raises:
        ValueError: If one of them is something else.
    """
    for dataset in datasets:
        check_pairs(dataset)
    if not callable(loss_fn) or isinstance(loss_fn, type):
        raise ValueError(
            "`loss_fn` must be a function `(labels, outputs)`, such as "
            f"`tfprune.losses.CrossEntropy()`. Received: loss_fn={loss_fn!r}."
        )
    if not isinstance(output_dir, (str, os.PathLike)):
        raise ValueError(
            "`output_dir` must be the path of a folder for this run. "
            f"Received: output_dir={output_dir!r}."
        )
    if seed is not None and (type(seed) is not int or not 0 <= seed < 2**32):
        raise ValueError(
            "`seed` must be an int from 0 to 2**32 - 1, or None. "
            f"Received: seed={seed!r}."
        )


def _check_inputs(model, inputs):
    expected = [tf.TensorShape(tensor.shape) for tensor in model.inputs]
    received = [x.shape for x in feeds.flat_inputs(model, inputs)]
    if len(received) != len(expected) or not all(
        map(tf.TensorShape.is_compatible_with, received, expected)
    ):
        raise ValueError(
            "The dataset must yield batches of the model's inputs, "
            f"{', '.join(map(str, expected))}. Received: inputs of shape "
            f"{', '.join(map(str, received))}."
        )


def _check_classes(labels, outputs):
    classes = outputs.shape[1]
    numbers, known = losses_lib.classes(labels, outputs)
    numbers = np.unique(numbers[known])
    outside = numbers[(numbers < 0) | (numbers >= classes)]
    if outside.size:
        raise ValueError(
            f"Labels must be from 0 to {classes - 1}, for {classes} classes. "
            f"Received: labels {', '.join(map(str, outside[:10]))}; cast "
            "integers that are no classes to float."
        )
