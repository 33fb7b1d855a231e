"""Fine-tuning of a model as it is, after others have made it smaller."""

import numpy as np

from tfprune import checks
from tfprune import costs
from tfprune import gradients
from tfprune import loops
from tfprune import rebuilding
from tfprune import replicas
from tfprune import tracing
from tfprune import training
from tfprune.methods import base


class FineTuning(base.Method):
    """Trains and removes nothing: a stage of a `Pipeline`.

    Args:
        trainer: A `Trainer`. One with `distillation` learns from the model
            that the run began with.
        steps: Training steps.
        round_steps: Most training steps in one round, hence between two
            checkpoints. Defaults to 100.

    Raises:
        ValueError: If an argument is something else.
    """

    def __init__(self, trainer, steps, round_steps=100):
        checks.check_kind(training.Trainer, trainer=trainer)
        checks.check_counts(steps=steps, round_steps=round_steps)
        self.trainer = trainer
        self.steps = steps
        self.round_steps = round_steps

    def check(self, model, dataset, loss_fn):
        self.trainer.check(rebuilding.duplicate(model))

        def step(inputs, labels):
            found = gradients.backward(model, loss_fn, inputs, labels)
            return gradients.required(found.gradients)

        # Tracing computes nothing, and finds what cannot be learnt.
        _, trial = replicas.distribute(dataset, step)
        trial.get_concrete_function()

    def start(self, model, dataset, loss_fn, original=None):
        self.graph = tracing.trace(model)
        cost, units = costs.cost(model, self.graph), self.graph.prunable.sum()
        self._size = {"units": int(units), **cost._asdict()}
        self._model = rebuilding.duplicate(model)
        self.trainer.build(self._model, teacher=original or model)
        self._loss_fn = loss_fn
        self._loop = loops.Loop(dataset, self._update)

    @property
    def state(self):
        return {
            "model": [x.value for x in self._model.variables],
            "trainer": [x.value for x in self.trainer.variables],
            "method": [self._loop.steps],
        }

    @property
    def model(self):
        return self._model

    @property
    def done(self):
        return self._loop.done >= self.steps

    @property
    def progress(self):
        return self._loop.done, self.steps

    def step(self):
        count = min(self.round_steps, self.steps - self._loop.done)
        losses = [self._loop.step(self._update)[0] for _ in range(count)]
        return {
            "step": self._loop.done,
            "phase": "fine-tune",
            "loss": float(np.mean(losses)),
            "learning_rate": self.trainer.learning_rate,
            **self._size,
            "pruned": 0,
        }

    def finish(self):
        return rebuilding.duplicate(self._model)

    def report(self, records=()):
        everything = np.ones(self.graph.num_units, bool)
        return {
            "layers": self.graph.widths(everything),
            "explanation": [row._asdict() for row in self.graph.explain()],
        }

    def _update(self, inputs, labels):
        _, update = self.trainer.step(
            self._model, self._loss_fn, inputs, labels
        )
        return update, None
