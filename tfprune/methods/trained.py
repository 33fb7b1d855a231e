"""What methods share that train a model step by step."""

import numpy as np

from tfprune import costs
from tfprune import loops
from tfprune import replicas
from tfprune.methods import base


class Trained(base.Method):
    """Trains a model for a number of steps, and tells what is left of it.

    Subclasses have a `trainer` and `steps`, and fill in `check`, `start`,
    which calls `begin`, `step` and `finish`.

    Attributes:
        graph: The `ChannelGraph` of the model, from `begin` on.
    """

    @property
    def functions(self):
        """The functions of the training steps, as for a `Loop`."""
        return (self.update,)

    @property
    def variables(self):
        """What changes besides the model and its training, a list."""
        return []

    def try_out(self, dataset, function):
        """Traces what is done with a batch.

        That computes nothing, and finds what cannot be learnt or scored.

        Args:
            dataset: As for `check`.
            function: Of `(inputs, labels)`, in replica context.
        """
        _, function = replicas.distribute(dataset, function)
        function.get_concrete_function()

    def begin(self, model, graph, dataset, loss_fn, teacher):
        """Builds the training.

        Args:
            model: What is trained.
            graph: The `ChannelGraph` of what it was made from.
            dataset: As for `start`.
            loss_fn: As for `start`.
            teacher: The model that it learns from, if it does.
        """
        self.graph = graph
        self.loss_fn = loss_fn
        self.loop = loops.Loop(dataset, *self.functions)
        self.trainer.build(model, teacher=teacher)
        self._model = model
        self._meter = costs.Meter(graph)

    @property
    def state(self):
        return {
            "model": [x.value for x in self.model.variables],
            "trainer": [x.value for x in self.trainer.variables],
            "method": [self.loop.steps, *self.variables],
        }

    @property
    def model(self):
        return self._model

    @property
    def keep(self):
        """Which units are alive, bool [num_units]."""
        return np.ones(self.graph.num_units, bool)

    @property
    def done(self):
        return self.loop.done >= self.steps

    @property
    def progress(self):
        return self.loop.done, self.steps

    def update(self, inputs, labels):
        """Does a training step in replica context; finds nothing else."""
        _, update = self.trainer.step(self.model, self.loss_fn, inputs, labels)
        return update, None

    def record(self, phase, losses, before):
        """Returns the record of a round.

        Args:
            phase: Its name.
            losses: Those of its steps.
            before: What was alive before it, bool [num_units].
        """
        keep = self.keep
        return {
            "step": self.loop.done,
            "phase": phase,
            "loss": float(np.mean(losses)),
            "learning_rate": self.trainer.learning_rate,
            "units": int((keep & self.graph.prunable).sum()),
            **self._meter(keep)._asdict(),
            "pruned": int(before.sum() - keep.sum()),
        }

    def report(self, records=()):
        return {
            "layers": self.graph.widths(self.keep),
            "explanation": [row._asdict() for row in self.graph.explain()],
        }
