"""The training steps of methods: batches without end, and after a stop."""

import tensorflow as tf

from tfprune import replicas


class Stream:
    """The batches of a dataset without end, for one loop after another.

    A shuffled dataset gives others whenever it is read anew, so the loops read
    it once: each goes on where the one before stopped.

    Args:
        dataset: `tf.data.Dataset`, the same in every process.
    """

    def __init__(self, dataset):
        self._dataset = dataset.repeat()
        self._loops = []
        self._batches = None

    def join(self, loop):
        """Adds a `Loop` after the others, which are done by its first step."""
        self._loops.append(loop)

    def compile(self, *functions):
        """Returns functions of one replica's part of a batch as of a batch."""
        if self._batches is None:
            done = sum(loop.done for loop in self._loops)
            (self._batches,) = replicas.distribute(self._dataset.skip(done))
            self._iterator = iter(self._batches)
        return replicas.compile(self._batches, *functions)

    def next(self):
        """Returns the next batch; comes after `compile`.

        Raises:
            ValueError: If there is none.
        """
        batch = next(self._iterator, None)
        if batch is None:
            done = sum(loop.done for loop in self._loops)
            raise ValueError(
                "The dataset must be one that can be read again and again. "
                f"Received: one that ended after {done} batches."
            )
        return batch


class Loop:
    """Trains on a dataset that is read again and again.

    Args:
        dataset: `tf.data.Dataset` of batched `(inputs, labels)`, the same in
            every process; or a `Stream`.
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
        streams = isinstance(dataset, Stream)
        self._dataset = None if streams else dataset
        self._stream = dataset if streams else Stream(dataset)
        self._stream.join(self)
        self._functions = functions
        self._compiled = None

    @property
    def done(self):
        """How many steps are done, an int."""
        return int(self.steps.numpy())

    def inputs(self):
        """Returns the inputs of a batch; None for those of a stream."""
        if self._dataset is None:
            return None
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
        if self._compiled is None:
            compiled = self._stream.compile(*self._functions)
            self._compiled = dict(zip(self._functions, compiled))
        update, found = self._compiled[function](self._stream.next())
        if not update.finite:
            raise FloatingPointError(
                f"The loss must be finite. Received: {float(update.loss)} in "
                f"training step {self.done + 1}. Lower the learning rate, clip "
                "the gradient or prune in smaller steps; the last checkpoint "
                "is from before."
            )
        self.steps.assign_add(1)
        return float(update.loss), found
