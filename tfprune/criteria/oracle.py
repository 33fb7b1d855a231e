"""The exact oracle: the loss change that removing each unit really causes."""

import tensorflow as tf

from tfprune import ablation
from tfprune import gates
from tfprune import whole as whole_lib
from tfprune.criteria import base

EXAMPLES = 64  # computed at once, or one batch; more leave the caches of a CPU


class Oracle(base.Criterion):
    """Loss change of each unit by ablation, one unit at a time.

    All gates of a unit are shut together and the rest of the network is
    computed anew, in inference mode, side by side for several units of a small
    batch. What comes before the first of the gates is computed once for all
    units, and of the products that read it only what the unit adds to them.
    Masks stay as they are. A unit that is not alive scores 0 and takes no time.

    Args:
        absolute: Whether to score the size of the change alone, as the oracle
            of Molchanov et al. (2019) does. Defaults to `False`: a unit that
            does harm scores below zero.
    """

    def __init__(self, absolute=False):
        super().__init__()
        self.absolute = absolute
        self.signed = not absolute

    def contributions(self, batch):
        """Returns the loss change of each example and unit."""
        # Products that TensorFlow fuses get no examples wrong.
        return tf.cond(
            tf.shape(batch.inputs[0])[0] > 0,
            lambda: self._changes(batch),
            lambda: tf.zeros([0, batch.graph.num_units]),
        )

    def _changes(self, batch):
        whole = whole_lib.Whole(
            batch.program, batch.graph, batch.inputs, batch.units
        )
        losses = whole.losses(batch.loss_fn, batch.labels)
        changes = tf.zeros([batch.graph.num_units, tf.size(losses)])
        groups = gates.by_places(batch.units, batch.graph.prunable)
        for paths, units in groups.items():
            changes = _with_group(batch, whole, losses, paths, units, changes)
        return tf.transpose(changes)

    def reduce(self, contributions):
        """Returns the mean change of the loss, [num_units]."""
        change = tf.reduce_mean(contributions, axis=0)
        return tf.abs(change) if self.absolute else change


def _with_group(batch, whole, losses, paths, units, changes):
    """Returns changes [num_units, batch] with those of a group of units."""
    members = tf.where(tf.gather(batch.alive, units))[:, 0]
    step = tf.maximum(1, EXAMPLES // tf.size(losses))

    def without(start, changes):
        some = members[start : start + step]
        runs = ablation.Runs(whole, paths, units, some)
        lost = runs.losses(batch.loss_fn, batch.labels)
        places = tf.gather(units, some)[:, tf.newaxis]
        return start + step, tf.tensor_scatter_nd_update(
            changes, places, lost - losses
        )

    _, changes = tf.while_loop(
        lambda start, _: start < tf.size(members),
        without,
        (0, changes),
        parallel_iterations=1,
    )
    return changes
