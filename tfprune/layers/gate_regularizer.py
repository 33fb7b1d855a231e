"""What the gates of a batch are to be like: few, or used alike."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfprune")
class GateRegularizer(keras.regularizers.Regularizer):
    """Adds up penalties of gates, in the mean over the examples.

    Unlike the authors' code, which sums over the batch, a penalty does not
    depend on its size.

    Args:
        l1: Factor of the sum of the gates of an example. Defaults to 0.
        l2: Factor of the sum of their squares. Defaults to 0.
        channels: Factor of the variance of the sums of the channels over the
            squared mean of these: the load is to be balanced. Defaults to 0.
        examples: Factor of the same of the sums of the examples. Defaults to 0.
    """

    def __init__(self, l1=0.0, l2=0.0, channels=0.0, examples=0.0):
        self.l1 = l1
        self.l2 = l2
        self.channels = channels
        self.examples = examples

    def __call__(self, gates):
        """Returns the penalty of gates of at least 0, [batch, channels]."""
        loss = 0.0
        if self.l1:
            loss += self.l1 * ops.mean(ops.sum(gates, axis=1))
        if self.l2:
            loss += self.l2 * ops.mean(ops.sum(ops.square(gates), axis=1))
        if self.channels:
            loss += self.channels * _imbalance(ops.sum(gates, axis=0))
        if self.examples:
            loss += self.examples * _imbalance(ops.sum(gates, axis=1))
        return loss

    def get_config(self):
        return {
            "l1": self.l1,
            "l2": self.l2,
            "channels": self.channels,
            "examples": self.examples,
        }


def _imbalance(sums):
    return ops.var(sums) / ops.square(ops.mean(sums) + 1e-3)
