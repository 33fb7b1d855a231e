"""Scores of units: gates of one pass over the data, read by many criteria."""

import numpy as np

from tfprune import checks
from tfprune import gradients
from tfprune import reading
from tfprune import replicas
from tfprune.criteria import base
from tfprune.layers import channel_mask


def score(masked, graph, criteria, dataset, loss_fn, batches=None):
    """Returns the scores of all units by several criteria, in one pass.

    The model runs in inference mode, under the current strategy; what is
    pruned and chosen does not depend on the number of replicas.

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.
        criteria: A `Criterion`, a list of them (named by their classes), or a
            dict {name: criterion}.
        dataset: `tf.data.Dataset` of batched `(inputs, labels)`.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        batches: How many batches to read, 1 or more. Defaults to all.

    Returns:
        {name: float [num_units]}, averaged over batches; bigger means keep.

    Raises:
        ValueError: If an argument is something else, the first batch, the
            model and the loss do not fit, the loss has no gradient, the
            dataset is empty or shorter than `batches`, two criteria have one
            name, or a score is not finite.
    """
    checks.check_pairs(dataset)
    if batches is not None:
        checks.check_counts(batches=batches)
        dataset = dataset.take(batches)
    totals, count = {}, 0
    for scores in each_batch(masked, graph, criteria, dataset, loss_fn):
        for name, each in scores.items():
            totals[name] = totals.get(name, 0.0) + each
        count += 1
    if count < (batches or 1):
        raise ValueError(
            f"`dataset` must hold {batches or 'some'} batches. "
            f"Received: {count} batches."
        )
    return {name: total / count for name, total in totals.items()}


def each_batch(masked, graph, criteria, dataset, loss_fn):
    """Yields the scores that `score` averages, {name: float [num_units]}.

    Args:
        masked: As for `score`.
        graph: As for `score`.
        criteria: As for `score`.
        dataset: As for `score`.
        loss_fn: As for `score`.

    Raises:
        ValueError: As for `score`, but for datasets that are too short.
    """
    scorer = Scorer(masked, graph, criteria, loss_fn)
    distributed, step = replicas.distribute(dataset, scorer.pass_over)
    for count, batch in enumerate(distributed):
        if count == 0:
            # Another pass, for the check alone, would turn a shuffle.
            checks.check_examples(masked, *replicas.gather(batch), loss_fn)
        yield {
            name: scorer.checked(name, scores.numpy())
            for name, scores in step(batch).items()
        }


class Scorer:
    """Turns the gates of a pass into the scores of units.

    Args:
        masked: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.
        criteria: As for `score`.
        loss_fn: As for `score`.
        candidates: Bool variable, [num_units], of the units to score; the
            scores of others mean nothing. Defaults to None: all.
    """

    def __init__(self, masked, graph, criteria, loss_fn, candidates=None):
        self.criteria = base.named(criteria)
        self._model = masked
        self._graph = graph
        self._loss_fn = loss_fn
        self._reader = reading.Reader(masked, graph, loss_fn, candidates)

    def pass_over(self, inputs, labels):
        """Returns {name: scores [num_units]} of a batch, in inference mode.

        Args:
            inputs: The inputs of this replica's part of the batch.
            labels: Their labels.
        """
        return self.scores(self.backward(inputs, labels), inputs, labels)

    def backward(self, inputs, labels):
        """Returns the `Backward` of this replica, in inference mode.

        Args:
            inputs: As for `pass_over`.
            labels: As for `pass_over`.
        """
        return gradients.backward(
            self._model,
            self._loss_fn,
            inputs,
            labels,
            tap=channel_mask.tapped,
            training=False,
        )

    def scores(self, found, inputs, labels):
        """Returns {name: scores [num_units]} of a batch of all replicas.

        Args:
            found: The `Backward` of this replica, with taps.
            inputs: The inputs of this replica's part of the batch.
            labels: Their labels.

        Raises:
            ValueError: If a criterion returns another shape, or reads the
                gradients and there are none.
        """
        batch = self._reader.read(found, inputs, labels)
        return {
            name: criterion.scores(batch)
            for name, criterion in self.criteria.items()
        }

    def checked(self, name, scores):
        """Returns the scores of one criterion if all are finite.

        Raises:
            ValueError: If one is not; names its layer.
        """
        wrong = np.flatnonzero(~np.isfinite(scores) & self._graph.prunable)
        if len(wrong):
            layer = self._graph.owners[int(wrong[0])]
            raise ValueError(
                f"Scores must be finite. Received: {name} gave "
                f"{scores[wrong[0]]} for unit {wrong[0]} of layer {layer!r}. "
                "Check the loss and the weights."
            )
        return scores
