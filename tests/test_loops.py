"""Tests for tfprune.loops."""

import numpy as np
import pytest
import tensorflow as tf

from tests import strategies
from tfprune import loops
from tfprune import training


def shuffled(size=10):
    """Returns batches of a number, in another order in every epoch."""
    numbers = tf.data.Dataset.range(size).shuffle(size, seed=3)
    return numbers.map(lambda x: (x, x)).batch(1)


def read(inputs, labels):
    finite = tf.constant(True)
    return training.Update(tf.constant(0.5), finite), tf.reduce_sum(inputs)


def turned(loop, count):
    return [int(loop.step(read)[1]) for _ in range(count)]


def test_dataset_is_read_again_and_again():
    loop = loops.Loop(shuffled(), read)
    seen = turned(loop, 30)
    assert loop.done == 30
    for epoch in (seen[:10], seen[10:20], seen[20:]):
        assert sorted(epoch) == list(range(10))
    assert seen[:10] != seen[10:20]


@pytest.mark.parametrize("done", [3, 10, 14])
def test_loop_goes_on_with_the_batch_that_came_next(done):
    seen = turned(loops.Loop(shuffled(), read), 25)
    again = loops.Loop(shuffled(), read)
    again.steps.assign(done)
    assert turned(again, 25 - done) == seen[done:]


def test_loops_of_a_stream_read_on():
    seen = turned(loops.Loop(shuffled(), read), 25)
    stream = loops.Stream(shuffled())
    parts = []
    for count in (7, 5, 13):
        loop = loops.Loop(stream, read)
        parts += turned(loop, count)
        assert loop.done == count
    assert parts == seen


@pytest.mark.parametrize("done", [0, 6])
def test_loops_of_a_stream_go_on_in_another_process(done):
    seen = turned(loops.Loop(shuffled(), read), 25)
    stream = loops.Stream(shuffled())
    first, second = (loops.Loop(stream, read) for _ in range(2))
    first.steps.assign(12)
    second.steps.assign(done)
    assert turned(second, 13 - done) == seen[12 + done :]


def test_batches_are_split_over_the_replicas():
    with strategies.two_replicas().scope():
        dataset = tf.data.Dataset.range(8).map(lambda x: (x, x)).batch(4)
        loop = loops.Loop(dataset, count)
        assert [int(loop.step(count)[1]) for _ in range(2)] == [2, 2]


def count(inputs, labels):
    return training.Update(tf.constant(0.5), tf.constant(True)), tf.size(inputs)


def test_inputs_are_those_of_a_batch_but_for_a_stream():
    dataset = shuffled()
    assert loops.Loop(dataset, read).inputs().shape == (1,)
    assert loops.Loop(loops.Stream(dataset), read).inputs() is None


def test_loss_that_is_not_finite_names_the_step():
    def fail(inputs, labels):
        return training.Update(tf.constant(np.nan), tf.constant(False)), None

    loop = loops.Loop(shuffled(), read, fail)
    turned(loop, 3)
    with pytest.raises(FloatingPointError, match="nan in training step 4"):
        loop.step(fail)
    assert loop.done == 3


def test_dataset_that_can_be_read_once_is_refused():
    calls = iter(range(4))
    once = tf.data.Dataset.from_generator(
        lambda: calls, output_signature=tf.TensorSpec((), tf.int64)
    )
    loop = loops.Loop(once.map(lambda x: (x, x)).batch(2), read)
    turned(loop, 2)
    with pytest.raises(ValueError, match="one that ended after 2 batches"):
        loop.step(read)
