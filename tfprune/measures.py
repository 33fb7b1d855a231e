"""How well the models of a run do: on which data, and by which loss."""

import functools

import tensorflow as tf

from tfprune import evaluation


class Measures:
    """Measures models while they are trained, and once they are.

    Args:
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        validation_data: Dataset to measure on in between, or None.
        test_data: Dataset to measure on in the end. Defaults to
            `validation_data`.

    Attributes:
        final_data: "test" or "validation", what the end is measured on; None
            if there is neither.
    """

    def __init__(self, loss_fn, validation_data=None, test_data=None):
        self.loss_fn = loss_fn
        self._data = {"validation": validation_data, "test": test_data}
        given = [k for k, v in self._data.items() if v is not None]
        self.final_data = given[-1] if given else None
        self._evaluator = functools.cache(self._compiled)

    @property
    def datasets(self):
        """The datasets that there are."""
        return [data for data in self._data.values() if data is not None]

    def validate(self, model):
        """Returns `accuracy` and `validation_loss`; {} without such data."""
        measured = self._on("validation", model)
        return {
            {"loss": "validation_loss"}.get(name, name): value
            for name, value in measured.items()
        }

    def final(self, model):
        """Returns `accuracy` and `loss`, None where they are unknown."""
        unknown = {"accuracy": None, "loss": None}
        return unknown | self._on(self.final_data, model)

    def _on(self, name, model):
        if self._data.get(name) is None:
            return {}
        return self._evaluator(name, model, tf.distribute.get_strategy())()

    def _compiled(self, name, model, strategy):
        """Returns the evaluator of a model, under the strategy in scope."""
        return evaluation.evaluator(model, self._data[name], self.loss_fn)
