"""Moving statistics of batch normalisation: kept equal, and re-estimated."""

import keras
import tensorflow as tf

from tfprune import replicas


def moving_statistics(model):
    """Returns the variables that training-mode calls of the model change.

    They are the moving means and variances of every trainable
    `BatchNormalization`, inside wrappers and nested models too.
    """
    return [
        statistic
        for norm in _trainable_norms(model)
        for statistic in (norm.moving_mean, norm.moving_variance)
    ]


def synchronize(statistics, before, share):
    """Sets statistics to their mean over the replicas; in replica context.

    Keras lets every replica keep its own, and a replica without examples sets
    them to NaN.

    Args:
        statistics: Variables, as changed by this replica.
        before: Their values before that, equal on every replica.
        share: Weight of this replica. Where it is 0 on every replica, the
            statistics return to `before`.
    """
    moves = replicas.sum_over_replicas(
        [
            tf.math.multiply_no_nan(
                tf.cast(statistic - start, tf.float32), share
            )
            for statistic, start in zip(statistics, before, strict=True)
        ]
    )
    for statistic, start, move in zip(statistics, before, moves, strict=True):
        statistic.assign(start + tf.cast(move, start.dtype))


def reestimate(model, dataset, batches):
    """Sets moving statistics to the mean of the moments of some batches.

    The moments are those that every `BatchNormalization` normalises with in
    training mode; replicas count by their examples. A layer that is called
    twice takes the moments of its last call. One frozen by `trainable=False`
    does not use moments, and keeps its statistics.

    Args:
        model: A `keras.Model`; only its moving statistics change.
        dataset: A `tf.data.Dataset` of batched `(inputs, labels)`.
        batches: Number of batches, 1 or more.

    Raises:
        ValueError: If the model has no statistics to set or the dataset has
            fewer batches. The model is then as it was.
    """
    norms = _trainable_norms(model)
    if not norms:
        raise ValueError(
            "The model must have a trainable BatchNormalization. "
            f"Received: model {model.name!r} without one."
        )
    statistics = moving_statistics(model)
    moments = [statistic.numpy() for statistic in statistics]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        moments = _mean_moments(model, statistics, dataset, batches)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for statistic, moment in zip(statistics, moments, strict=True):
            statistic.assign(moment)


def _mean_moments(model, statistics, dataset, batches):
    def moments(inputs, labels):
        model(inputs, training=True)
        examples = replicas.count_examples(tf.nest.flatten(inputs)[0])
        sums = [
            tf.math.multiply_no_nan(tf.cast(s, tf.float32), examples)
            for s in statistics
        ]
        batch, sums = replicas.sum_over_replicas((examples, sums))
        return [total / batch for total in sums]

    distributed, moments = replicas.distribute(dataset.take(batches), moments)
    found = [moments(batch) for batch in distributed]
    if not 0 < len(found) == batches:
        raise ValueError(
            "`batches` must be from 1 to the number of batches in the dataset. "
            f"Received: batches={batches}, a dataset of {len(found)}."
        )
    return [tf.reduce_mean(v, axis=0) for v in zip(*found, strict=True)]


def _trainable_norms(model):
    # Nothing public finds all: `layers` ends at wrappers and at layers that
    # hold layers of their own, `tf.train.TrackableView` at lists of layers.
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
        and layer.trainable
    ]
