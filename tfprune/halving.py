"""The search of AOFP for channels that can go: halving, in every layer.

In each step a random half of the units that are searched is dropped, and the
damage credited to all of these. After a number of steps, a *half*, the better
half of the units goes; or only it is searched further; or, once it is a single
unit, the search has failed and begins again (Ding et al., 2019, Approximated
Oracle Filter Pruning, section 3.3).
"""

from absl import logging
import numpy as np
import tensorflow as tf

QUARTILES = (0, 0.25, 0.5, 0.75, 1)
UNSEEN = 999_000.0  # The damage of a unit never dropped, as by the authors.


class Halving:
    """The searches of several targets, each with a clock of its own.

    Args:
        targets: The units of each target, a list of int arrays.
        num_units: How many units there are.
        starts: The step in which each search begins.
        half_steps: Steps from the begin of a half to its end.
        seed: Of the random halves.

    Attributes:
        variables: All that changes, `tf.Variable`s.
    """

    def __init__(self, targets, num_units, starts, half_steps, seed):
        self._targets = targets
        self._starts = np.asarray(starts)
        self._half_steps = half_steps
        self._seed = seed
        self._searched = tf.Variable(tf.zeros([num_units], tf.bool))
        self._damage = tf.Variable(tf.zeros([num_units], tf.float64))
        self._hits = tf.Variable(tf.zeros([num_units], tf.float64))
        self._begun = tf.Variable(tf.fill([len(targets)], np.int64(-1)))

    @property
    def variables(self):
        return [self._searched, self._damage, self._hits, self._begun]

    @property
    def active(self):
        """Whether anything is searched."""
        return bool((self._begun.numpy() >= 0).any())

    def over(self, step):
        """Whether nothing is searched, nor will be from a step on."""
        return not self.active and bool((self._starts < step).all())

    def due(self, step):
        """Returns the numbers of the targets whose search begins in a step."""
        return np.flatnonzero(self._starts == step)

    def ended(self, step):
        """Returns the numbers of the targets whose half ends after a step."""
        begun = self._begun.numpy()
        return np.flatnonzero((begun >= 0) & (step - begun == self._half_steps))

    def search(self, number, units, step):
        """Begins a half of a target.

        Args:
            number: Of the target.
            units: What is searched, int array; none if there is nothing to
                halve.
            step: The present one; it counts unless its damage is credited.
        """
        searched = self._searched.numpy()
        searched[self._targets[number]] = False
        searched[units] = len(units) > 1
        self._searched.assign(searched)
        begun = self._begun.numpy()
        begun[number] = step if len(units) > 1 else -1
        self._begun.assign(begun)

    def draw(self, step):
        """Returns the units to drop in a step, bool [num_units].

        They are a random half of those searched of each target, rounded down,
        the same in every process.
        """
        rng = np.random.default_rng([self._seed, step])
        searched = self._searched.numpy()
        dropped = np.zeros_like(searched)
        for units in self._targets:
            units = units[searched[units]]
            half = rng.choice(units, len(units) // 2, replace=False)
            dropped[half] = True
        return dropped

    def credit(self, dropped, damages):
        """Adds the damages of a step to those of the units dropped in it.

        Args:
            dropped: As of `draw`.
            damages: float [targets].
        """
        credits = np.zeros(len(dropped))
        for units, damage in zip(self._targets, damages, strict=True):
            credits[units] = damage
        self._damage.assign_add(np.where(dropped, credits, 0.0))
        self._hits.assign_add(dropped.astype(float))

    def collect(self, number):
        """Returns what a half found of a target, which begins at 0 again.

        Args:
            number: Of the target.

        Returns:
            The units that are searched, int array, and their mean damages.
        """
        units = self._targets[number]
        searched, damage, hits = (
            x.numpy() for x in (self._searched, self._damage, self._hits)
        )
        found = units[searched[units]]
        means = np.full(len(found), UNSEEN)
        np.divide(damage[found], hits[found], out=means, where=hits[found] > 0)
        damage[units] = hits[units] = 0.0
        self._damage.assign(damage)
        self._hits.assign(hits)
        return found, means


def halve(units, damages, threshold):
    """Returns which units of a search can go, and which to search further.

    Args:
        units: Those that were searched, int array of two or more.
        damages: The mean damage of each.
        threshold: Damage that a unit must be below to go.

    Returns:
        The better half of the units, the best first, and none to search, if
        all of that half are below the threshold; else none, and that half. If
        both are none, the search has failed.
    """
    half = len(units) // 2
    order = np.argsort(damages, kind="stable")[:half]
    better, none = units[order], units[:0]
    if damages[order[-1]] < threshold:
        return better, none
    return none, better if half > 1 else none


def quartiles(damages):
    """Returns the least, quartiles and most of those that were seen, or None.

    Args:
        damages: As of `Halving.collect`.
    """
    seen = damages[damages != UNSEEN]
    return np.quantile(seen, QUARTILES).tolist() if len(seen) else None


def starts(places, half_steps, warmup):
    """Returns the step in which the search of each target begins.

    Args:
        places: How many layers with a kernel are before that of each target.
        half_steps: As for `Halving`.
        warmup: Steps before all searches.
    """
    interval = half_steps // max(1, len(places))
    return [warmup + interval * place for place in places]


def check(names, begins, half_steps, steps):
    """Raises an error if no search comes to the end of a half.

    If some do not, a warning tells which.

    Args:
        names: Those of the targets.
        begins: What `starts` returns.
        half_steps: The same.
        steps: Of the training.

    Raises:
        ValueError: If none does.
    """
    ends = [begin + half_steps + 1 for begin in begins]
    late = [name for name, end in zip(names, ends, strict=True) if end > steps]
    if len(late) == len(names):
        raise ValueError(
            "`steps` must reach beyond the first half of a search. Received: "
            f"steps={steps}, where it ends after {min(ends)}: it begins after "
            f"{min(begins)}, with the `warmup`, and half_steps={half_steps}."
        )
    if late:
        logging.warning(
            "In %d steps no search of these layers comes to the end of a half: "
            "%s. The last one does after %d.",
            steps,
            ", ".join(late),
            max(ends),
        )


def summary(name, keep, halves):
    """Returns what the report tells of the search of a layer, a dict.

    Args:
        name: That of the layer.
        keep: bool, [units], which of its filters are left.
        halves: Dicts of a `layer`, the `step` after which a half ended, how
            many filters were `alive` and `searched` in it, their `damage` by
            `QUARTILES`, and how many `filters` went.
    """
    own = [half for half in halves if half["layer"] == name]
    whole = [x["damage"] for x in own if x["searched"] == x["alive"]]
    return {
        "layer": name,
        "before": len(keep),
        "after": int(keep.sum()),
        "halves": len(own),
        "moves": [[x["step"], x["filters"]] for x in own if x["filters"]],
        "damage": whole[-1] if whole else None,
    }
