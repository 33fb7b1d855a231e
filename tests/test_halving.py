"""Tests for tfprune.halving."""

import numpy as np
import pytest

from tfprune import halving


def searching(sizes, half_steps=4, starts=None, seed=0):
    """Returns the searches of targets of some sizes, which have begun."""
    total = sum(sizes)
    targets = np.split(np.arange(total), np.cumsum(sizes)[:-1])
    search = halving.Halving(
        targets, total, starts or [0] * len(sizes), half_steps, seed
    )
    for number, units in enumerate(targets):
        search.search(number, units, 0)
    return search


# What becomes of a half


def searched(scores, threshold):
    """Returns what each half does with fixed damages, until one unit is left.

    The search of a layer in the vectors of the specification, V6.
    """
    scores, alive = np.asarray(scores), np.arange(len(scores))
    units, done = alive, []
    while len(alive) > 1:
        gone, left = halving.halve(units, scores[units], threshold)
        if len(gone):
            alive = np.setdiff1d(alive, gone)
            done.append(("prune", sorted(gone.tolist())))
            units = alive
        elif len(left):
            done.append(("search", sorted(left.tolist())))
            units = left
        else:
            return [*done, ("restart", alive.tolist())]
    return done


def test_halves_with_fixed_damages():
    assert searched([0.5, 0.01, 0.3, 0.02, 0.4, 0.2], 0.05) == [
        ("search", [1, 3, 5]),
        ("prune", [1]),
        ("search", [3, 5]),
        ("prune", [3]),
        ("search", [2, 5]),
        ("restart", [0, 2, 4, 5]),
    ]


def test_search_ends_at_one_unit():
    assert searched([0.001, 0.002, 0.003, 0.004], 0.05) == [
        ("prune", [0, 1]),
        ("prune", [2]),
    ]


@pytest.mark.parametrize(
    "size, sizes",
    [
        (64, [32, 16, 8, 4, 2, 1]),
        (50, [25, 12, 6, 3, 1]),
        (7, [3, 1]),
        (2, [1]),
    ],
)
def test_halves_are_rounded_down(size, sizes):
    units = np.arange(size)
    for half in sizes:
        gone, units = halving.halve(units, np.ones(len(units)), 0.05)
        assert len(gone) == 0 and len(units) == (half if half > 1 else 0)


def test_damage_must_be_below_the_threshold():
    units = np.array([4, 7])
    gone, left = halving.halve(units, np.array([0.05, 0.2]), 0.05)
    assert len(gone) == len(left) == 0
    gone, _ = halving.halve(units, np.array([0.04999, 0.2]), 0.05)
    assert gone.tolist() == [4]


def test_best_units_come_first_and_ties_in_their_order():
    units = np.array([3, 5, 6, 8, 9])
    gone, _ = halving.halve(units, np.array([0.2, 0.1, 0.1, 0.0, 0.3]), 1.0)
    assert gone.tolist() == [8, 5]


# Drawing


def test_half_of_the_searched_units_is_dropped():
    search = searching([7, 2, 5])
    search.search(2, np.array([10, 12, 13]), 0)
    for step in range(50):
        dropped = np.flatnonzero(search.draw(step))
        assert (dropped < 7).sum() == 3
        assert ((dropped >= 7) & (dropped < 9)).sum() == 1
        assert np.isin(dropped[dropped >= 9], [10, 12, 13]).sum() == 1


def test_every_unit_is_dropped_as_often():
    search = searching([8])
    counts = sum(search.draw(step).astype(int) for step in range(2000))
    np.testing.assert_allclose(counts, 1000, atol=5 * np.sqrt(500))


def test_draws_depend_on_seed_and_step_alone():
    one, two, other = (searching([20], seed=seed) for seed in (3, 3, 4))
    drawn = [one.draw(step).tolist() for step in range(5)]
    assert drawn == [two.draw(step).tolist() for step in range(5)]
    assert drawn != [other.draw(step).tolist() for step in range(5)]
    assert len(set(map(tuple, drawn))) == 5


# Damages


def test_damages_are_credited_to_all_dropped_units():
    # Vector V5: four drops of two units, without ReLU.
    search = searching([4])
    drops = {(0, 1): 9 / 21, (0, 2): 11 / 21, (2, 3): 6 / 21, (1, 3): 22 / 21}
    for units, damage in drops.items():
        dropped = np.isin(np.arange(4), units)
        search.credit(dropped, [damage])
    units, damages = search.collect(0)
    assert units.tolist() == [0, 1, 2, 3]
    expected = [0.47619048, 0.73809524, 0.40476190, 0.66666667]
    np.testing.assert_allclose(damages, expected, rtol=1e-6)
    gone, _ = halving.halve(units, damages, 1.0)
    assert gone.tolist() == [2, 0]


def test_targets_are_credited_with_their_own_damage():
    search = searching([3, 3])
    search.credit(np.array([1, 0, 0, 0, 1, 0], bool), [0.5, 0.25])
    search.credit(np.array([1, 0, 0, 0, 0, 1], bool), [0.1, 0.75])
    np.testing.assert_allclose(
        search.collect(0)[1], [0.3, halving.UNSEEN, halving.UNSEEN]
    )
    np.testing.assert_allclose(
        search.collect(1)[1], [halving.UNSEEN, 0.25, 0.75]
    )


def test_damages_are_counted_anew_in_each_half():
    search = searching([3, 3])
    search.credit(np.array([1, 1, 1, 1, 1, 1], bool), [0.5, 0.25])
    search.collect(0)
    np.testing.assert_allclose(search.collect(0)[1], halving.UNSEEN)
    np.testing.assert_allclose(search.collect(1)[1], 0.25)


def test_only_the_searched_half_is_collected():
    search = searching([4])
    search.search(0, np.array([1, 3]), 4)
    search.credit(np.array([0, 1, 0, 1], bool), [0.5])
    assert search.collect(0)[0].tolist() == [1, 3]


def test_quartiles_are_those_of_what_was_seen():
    damages = np.array([0.4, halving.UNSEEN, 0.2, 0.3, 0.1, 0.5])
    np.testing.assert_allclose(
        halving.quartiles(damages), [0.1, 0.2, 0.3, 0.4, 0.5]
    )
    assert halving.quartiles(np.full(2, halving.UNSEEN)) is None


# Clocks


def test_clocks_of_targets_do_not_wait_for_each_other():
    search = halving.Halving(
        [np.arange(2), np.arange(2, 4)], 4, [3, 5], half_steps=4, seed=0
    )
    ends = []
    for step in range(16):
        for number in search.due(step):
            search.search(number, 2 * number + np.arange(2), step)
        assert search.active == (step >= 3)
        for number in search.ended(step):
            ends.append((int(number), step))
            search.search(number, 2 * number + np.arange(2), step)
    # The first half is of steps 3 to 7, five of them, and the next of four.
    assert ends == [(0, 7), (1, 9), (0, 11), (1, 13), (0, 15)]


def test_targets_of_one_unit_rest():
    search = searching([3, 2])
    search.search(1, np.array([], int), 2)
    assert search.ended(4).tolist() == [0]
    search.search(0, np.array([1]), 4)
    assert not search.active
    assert not search.draw(5).any()
