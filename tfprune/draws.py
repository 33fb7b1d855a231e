"""Random batches of a small data set: each a function of its number."""

import tensorflow as tf

PASSES, FRESH = 0, 1  # What a draw is for.


class Draws:
    """Draws batches of a data set that is held in memory.

    Args:
        dataset: `tf.data.Dataset` of batched `(inputs, labels)` that ends.
        seed: Of all draws.

    Attributes:
        batch_size: Examples in a batch, those of the first of the data set.
        batches: How many whole batches a pass has, at least 1.

    Raises:
        ValueError: If the data set is empty, or never ends.
    """

    def __init__(self, dataset, seed):
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "`evaluation_data` must end, for it is held in memory. "
                "Received: an infinite dataset. Leave `repeat` out."
            )
        parts = list(dataset)
        if not parts:
            raise ValueError(
                "`evaluation_data` must not be empty. Received: 0 batches."
            )
        with tf.device("CPU"):
            self._examples = tf.nest.map_structure(
                lambda *each: tf.concat(each, axis=0), *parts
            )
        self._seed = seed
        self._count = len(tf.nest.flatten(self._examples)[0])
        self.batch_size = len(tf.nest.flatten(parts[0])[0])
        self.batches = max(1, self._count // self.batch_size)

    def passes(self, start):
        """Returns the batches of one shuffled pass after another.

        What is left over at the end of a pass is in none of its batches.

        Args:
            start: Number of the first batch.
        """

        def rows(number):
            order = self._shuffled(PASSES, number // self.batches)
            first = number % self.batches * self.batch_size
            return order[first : first + self.batch_size]

        return self._dataset(start, rows)

    def fresh(self, start, batches):
        """Returns batches that are drawn anew in every step.

        Args:
            start: Number of the first step.
            batches: How many batches are drawn in each, without replacement.

        Raises:
            ValueError: If there are not as many.
        """
        if batches > self.batches:
            raise ValueError(
                "`oracle_batches` must be at most those of `evaluation_data`. "
                f"Received: oracle_batches={batches}, but {self.batches} whole "
                "ones."
            )

        def rows(number):
            order = self._shuffled(FRESH, number // batches)
            first = number % batches * self.batch_size
            return order[first : first + self.batch_size]

        return self._dataset(start * batches, rows)

    def _shuffled(self, purpose, number):
        seed = tf.stack([2 * self._seed + purpose, tf.cast(number, tf.int64)])
        return tf.random.experimental.stateless_shuffle(
            tf.range(self._count), seed
        )

    def _dataset(self, start, rows):
        numbers = tf.data.Dataset.range(start, tf.int64.max)
        return numbers.map(
            lambda number: tf.nest.map_structure(
                lambda values: tf.gather(values, rows(number)), self._examples
            )
        ).prefetch(2)
