"""Fine-tuning of a model as it is, after others have made it smaller."""

from tfprune import checks
from tfprune import gradients
from tfprune import rebuilding
from tfprune import tracing
from tfprune import training
from tfprune.methods import trained


class FineTuning(trained.Trained):
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

        self.try_out(dataset, step)

    def start(self, model, dataset, loss_fn, original=None):
        copy, graph = rebuilding.duplicate(model), tracing.trace(model)
        self.begin(copy, graph, dataset, loss_fn, original or model)

    def step(self):
        count = min(self.round_steps, self.steps - self.loop.done)
        losses = [self.loop.step(self.update)[0] for _ in range(count)]
        return self.record("fine-tune", losses, self.keep)

    def finish(self):
        return rebuilding.duplicate(self.model)
