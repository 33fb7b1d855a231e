"""Criteria that score a masked model, and an oracle asked about some units."""

import numpy as np
import tensorflow as tf

from tfprune import replicas
from tfprune import scoring
from tfprune.criteria import oracle


class Composition:
    """Scores the units of a model step by step, as its masks change.

    Each step has batches of its own; they depend on its number alone, so a
    stopped run goes on with those that would have come next.

    Args:
        model: A model of `mask_model`.
        graph: The `ChannelGraph` of the model it was made from.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        criteria: {name: Criterion}.
        draws: The `Draws` of the data to score on.
        batches: How many batches are scored in a step.
        oracle_batches: How many batches the oracle is asked on.
    """

    def __init__(
        self, model, graph, loss_fn, criteria, draws, batches, oracle_batches
    ):
        self._candidates = tf.Variable(tf.zeros([graph.num_units], bool))
        self._graph = graph
        self._scorer = scoring.Scorer(model, graph, criteria, loss_fn)
        self._oracle = scoring.Scorer(
            model, graph, oracle.Oracle(), loss_fn, self._candidates
        )
        self._scored = _Stream(
            lambda step: draws.passes(step * batches), batches, self._score
        )
        self._fresh = _Stream(
            lambda step: draws.fresh(step, oracle_batches),
            oracle_batches,
            self._oracle.pass_over,
        )

    def scores(self, step):
        """Returns {name: scores [num_units]}, and the mean loss.

        Args:
            step: Number of the step.

        Raises:
            ValueError: If a score is not finite; names its layer.
            FloatingPointError: If the loss is not finite.
        """
        found = self._scored(step)
        loss = float(np.mean([loss for _, loss in found]))
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"The loss must be finite. Received: {loss} in step {step}; "
                "the last checkpoint is from before."
            )
        means = {
            name: np.mean([scores[name] for scores, _ in found], axis=0)
            for name in found[0][0]
        }
        return {k: self._scorer.checked(k, v) for k, v in means.items()}, loss

    def changes(self, step, units):
        """Returns the change of the mean loss without each of some units.

        Args:
            step: Number of the step.
            units: Their numbers; each goes alone.

        Returns:
            A list of floats.
        """
        chosen = np.zeros(self._graph.num_units, bool)
        chosen[units] = True
        self._candidates.assign(chosen)
        found = [each["Oracle"] for each in self._fresh(step)]
        changes = self._oracle.checked("Oracle", np.mean(found, axis=0))
        return changes[units].tolist()

    def _score(self, inputs, labels):
        found = self._scorer.backward(inputs, labels)
        examples = replicas.count_examples(found.losses)
        count, total = replicas.sum_over_replicas(
            (examples, tf.reduce_sum(found.losses))
        )
        return self._scorer.scores(found, inputs, labels), total / count


class _Stream:
    """What a function finds in the batches of one step after another.

    Args:
        open: Function from the number of a step to its batches and all later.
        count: How many batches a step has.
        function: Of `(inputs, labels)`, in replica context.
    """

    def __init__(self, open, count, function):
        self._open = open
        self._count = count
        self._function = function
        self._next = None

    def __call__(self, step):
        """Returns a list of what was found in the batches of a step."""
        if step != self._next:
            batches, self._compiled = replicas.distribute(
                self._open(step), self._function
            )
            self._iterator = iter(batches)
        self._next = step + 1
        found = [
            self._compiled(next(self._iterator)) for _ in range(self._count)
        ]
        return tf.nest.map_structure(lambda value: value.numpy(), found)
