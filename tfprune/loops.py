"""The training steps of a method: batches without end, and after a stop."""

import tensorflow as tf

from tfprune import replicas


class Loop:
    """Trains on a dataset that is read again and again.

    Args:
        dataset: `tf.data.Dataset` of batched `(inputs, labels)`, the same in
            every process.
        *functions: Each called in replica context as `function(inputs,
            labels)` with one replica's part of a batch; returns the `Update`
            of a training step, and what else it found.

    Attributes:
        steps: Variable of the training steps that are done. Restored from a
            checkpoint before the first of a process, it makes the loop go on
            with the batch that would have come next.
    """

    def __init__(self, dataset, *functions):
        self.steps = tf.Variable(0, dtype=tf.int64)
        self._dataset = dataset.repeat()
        self._functions = functions
        self._batches = None

    @property
    def done(self):
        """How many steps are done, an int."""
        return int(self.steps.numpy())

    def inputs(self):
        """Returns the inputs of a batch."""
        inputs, _ = next(iter(self._dataset))
        return inputs

    def step(self, function):
        """Does a training step.

        Args:
            function: One of the functions.

        Returns:
            The loss, a float, and what else the function found.

        Raises:
            FloatingPointError: If the loss is not finite.
            ValueError: If the dataset ends.
        """
        if self._batches is None:
            batches, *functions = replicas.distribute(
                self._dataset.skip(self.done), *self._functions
            )
            self._batches = iter(batches)
            self._compiled = dict(zip(self._functions, functions))
        update, found = self._compiled[function](self._next_batch())
        if not update.finite:
            raise FloatingPointError(
                f"The loss must be finite. Received: {float(update.loss)} in "
                f"training step {self.done + 1}. Lower the learning rate, clip "
                "the gradient or prune in smaller steps; the last checkpoint "
                "is from before."
            )
        self.steps.assign_add(1)
        return float(update.loss), found

    def _next_batch(self):
        batch = next(self._batches, None)
        if batch is None:
            raise ValueError(
                "The dataset must be one that can be read again and again. "
                f"Received: one that ended after {self.done} batches."
            )
        return batch
