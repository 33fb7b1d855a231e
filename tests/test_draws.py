"""Tests for tfprune.draws."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfprune import draws


def dataset(examples=10, batch_size=4):
    rows = np.arange(examples)
    pairs = {"x": rows.astype("float32")}, -rows
    return tf.data.Dataset.from_tensor_slices(pairs).batch(batch_size)


def rows(batches, count):
    found = list(itertools.islice(batches, count))
    for inputs, labels in found:
        np.testing.assert_array_equal(inputs["x"], -labels)
    return [(-labels).numpy().tolist() for _, labels in found]


def test_a_pass_gives_no_example_twice_and_the_next_another_order():
    made = draws.Draws(dataset(), seed=3)
    assert (made.batch_size, made.batches) == (4, 2)
    found = rows(made.passes(0), 6)
    passes = [sum(found[i : i + 2], []) for i in (0, 2, 4)]
    for each in passes:
        assert len(set(each)) == 8 and set(each) <= set(range(10))
    assert passes[0] != passes[1] != passes[2]


@pytest.mark.parametrize("start", [1, 3, 5])
def test_a_stopped_stream_goes_on(start):
    whole = rows(draws.Draws(dataset(), 3).passes(0), 8)
    assert rows(draws.Draws(dataset(), 3).passes(start), 8 - start) == (
        whole[start:]
    )
    fresh = rows(draws.Draws(dataset(), 3).fresh(0, 2), 12)
    assert rows(draws.Draws(dataset(), 3).fresh(start, 2), 12 - 2 * start) == (
        fresh[2 * start :]
    )


def test_each_step_draws_anew_without_replacement():
    found = rows(draws.Draws(dataset(), 0).fresh(0, 2), 20)
    steps = [found[i] + found[i + 1] for i in range(0, 20, 2)]
    assert all(len(set(step)) == 8 for step in steps)
    assert len(set(map(tuple, steps))) == 10


def test_seeds_and_purposes_draw_differently():
    one, two = draws.Draws(dataset(), 0), draws.Draws(dataset(), 1)
    found = [
        rows(batches, 2)
        for batches in (
            one.passes(0),
            two.passes(0),
            one.fresh(0, 2),
            two.fresh(0, 2),
        )
    ]
    assert len(set(map(str, found))) == 4


def test_data_smaller_than_a_batch_are_one():
    made = draws.Draws(dataset(3, 8), 0)
    assert made.batches == 1
    assert sorted(rows(made.fresh(0, 1), 1)[0]) == [0, 1, 2]


def test_more_batches_than_there_are_are_refused():
    with pytest.raises(ValueError, match="oracle_batches=3, but 2 whole ones"):
        draws.Draws(dataset(), 0).fresh(0, 3)


def test_data_without_an_end_are_refused():
    with pytest.raises(ValueError, match="must end, .* Leave `repeat` out"):
        draws.Draws(dataset().repeat(), 0)


def test_empty_data_are_refused():
    with pytest.raises(ValueError, match="not be empty. Received: 0 batches"):
        draws.Draws(dataset().take(0), 0)
