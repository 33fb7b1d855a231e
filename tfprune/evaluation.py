"""The loss and the accuracy of a model over a dataset."""

import collections

import tensorflow as tf

from tfprune import losses as losses_lib
from tfprune import replicas


def evaluate(model, dataset, loss_fn):
    """Returns the mean loss and accuracy over all examples of a dataset.

    Args:
        model: A `keras.Model`, run in inference mode.
        dataset: A `tf.data.Dataset` of batched `(inputs, labels)`.
        loss_fn: Called as `loss_fn(labels, outputs)`, returns [batch].

    Returns:
        A dict of `loss`, the mean of `loss_fn` without the model's own losses,
        and `accuracy`, the fraction of examples whose largest output is that
        of their label. There is no accuracy for a model with several outputs,
        or with outputs that are not [batch, classes], 2 classes or more; nor
        if one of the labels is no class, as `losses.classes` tells.

    Raises:
        ValueError: If the dataset is empty.
    """
    return evaluator(model, dataset, loss_fn)()


def with_accuracy(model, test_data, loss_fn):
    """Returns what `evaluate` does, of a model that has an accuracy.

    Args:
        model: As for `evaluate`.
        test_data: The dataset.
        loss_fn: As for `evaluate`.

    Raises:
        ValueError: As for `evaluate`, or if there is no accuracy.
    """
    measures = evaluate(model, test_data, loss_fn)
    if "accuracy" not in measures:
        raise ValueError(
            "The model must have one output, with a score for each class, and "
            "all labels of `test_data` must be classes. "
            f"Received: {model.name!r}, which has no accuracy on them."
        )
    return measures


def evaluator(model, dataset, loss_fn):
    """Returns `evaluate` of these arguments as a function without any.

    It is compiled once, for the current strategy, and reads the weights anew
    in every call.
    """

    def measure(inputs, labels):
        outputs = model(inputs, training=False)
        losses = tf.cast(loss_fn(labels, outputs), tf.float32)
        sums = {
            "examples": replicas.count_examples(losses),
            "loss": tf.reduce_sum(losses),
        }
        if losses_lib.may_be_classes(labels, outputs):
            classes, known = losses_lib.classes(labels, outputs)
            hits = classes == tf.argmax(outputs, axis=-1)
            sums["accuracy"] = tf.reduce_sum(tf.cast(hits, tf.float32))
            sums["classes"] = tf.reduce_sum(tf.cast(known, tf.float32))
        return replicas.sum_over_replicas(sums)

    batches, measure = replicas.distribute(dataset, measure)
    return lambda: _means(map(measure, batches))


def _means(sums):
    """Returns the means of `evaluate` from the sums over each batch."""
    totals = collections.Counter()
    for each in sums:
        totals.update({name: float(value) for name, value in each.items()})
    if not totals:
        raise ValueError("The dataset must not be empty. Received: 0 batches.")
    examples = totals.pop("examples")
    if totals.pop("classes", 0) < examples:
        totals.pop("accuracy", None)
    return {name: total / examples for name, total in totals.items()}
