"""What methods share that mask units of a model while it trains."""

import numpy as np

from tfprune import compaction
from tfprune import costs
from tfprune import loops
from tfprune import masking
from tfprune import rankings
from tfprune import replicas
from tfprune import runs
from tfprune import selection
from tfprune import slots
from tfprune import tracing
from tfprune import verification
from tfprune.methods import base


class Masked(base.Method):
    """Trains a masked copy of a model, and compacts it in the end.

    Subclasses have `budget`, `trainer`, `steps`, `min_units` and `frozen`, and
    fill in `trial`, `functions`, `variables`, `done` and `step`.

    Attributes:
        graph: The `ChannelGraph` of the model, from `start` on.
    """

    ranking = staticmethod(rankings.global_ranking)
    max_units = 1.0
    align = 1

    def trial(self, model, graph, loss_fn):
        """Returns what is done with a batch, to be traced before the run.

        Args:
            model: A masked copy of the model.
            graph: Its `ChannelGraph`.
            loss_fn: As for `check`.

        Returns:
            Function `(inputs, labels)` for replica context.
        """
        raise NotImplementedError(f"{type(self).__name__} needs `trial`.")

    @property
    def functions(self):
        """The functions of the training steps, as for a `Loop`."""
        return (self.update,)

    @property
    def variables(self):
        """What changes besides the model and its training, a list."""
        return []

    def trace(self, model):
        """Returns the `ChannelGraph` of what may be pruned."""
        return tracing.trace(model, self.frozen)

    def check(self, model, dataset, loss_fn):
        graph = self.trace(model)
        runs.outside_strategy(
            self._selector_of(graph).select,
            1.0 + np.arange(graph.num_units),
            np.ones(graph.num_units, bool),
        )
        masked = masking.mask_model(model, graph)
        self.trainer.check(masked)
        slots.check(self.trainer.optimizer)
        # Tracing computes nothing, and finds what cannot be learnt or scored.
        _, trial = replicas.distribute(
            dataset, self.trial(masked, graph, loss_fn)
        )
        trial.get_concrete_function()
        # The end of the run, at a mask that takes of every layer.
        runs.outside_strategy(compaction.compact, model, graph, graph.thinned())

    def start(self, model, dataset, loss_fn, original=None):
        self.graph = self.trace(model)
        later = original is not None and original is not model
        self.selector = self._selector_of(
            self.graph, self.trace(original) if later else None
        )
        self._meter = costs.Meter(self.graph)
        self.masked = masking.mask_model(model, self.graph)
        verification.Proof(self.masked).verify_copy(model)
        self.trainer.build(self.masked, teacher=original if later else model)
        self.loss_fn = loss_fn
        self.loop = loops.Loop(dataset, *self.functions)

    @property
    def state(self):
        return {
            "model": [x.value for x in self.masked.variables],
            "trainer": [x.value for x in self.trainer.variables],
            "method": [self.loop.steps, *self.variables],
        }

    @property
    def model(self):
        return self.masked

    @property
    def progress(self):
        return self.loop.done, self.steps

    @property
    def keep(self):
        """Which units are alive, bool [num_units]."""
        return masking.get_mask(self.masked, self.graph)

    def prune(self, keep):
        """Masks all units but those to keep.

        Args:
            keep: bool, [num_units].
        """
        masking.set_mask(self.masked, self.graph, keep)
        self.trainer.mask_slots(
            masking.variable_masks(self.masked, self.graph, keep)
        )

    def update(self, inputs, labels):
        """Does a training step in replica context; finds nothing else."""
        _, update = self.trainer.step(
            self.masked, self.loss_fn, inputs, labels
        )
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

    def finish(self):
        proof = verification.Proof(self.masked, self.loop.inputs())
        small, self._verified = compaction.proven(proof)
        return small

    def report(self, records=()):
        keep = self.keep
        return {
            "verification": self._verified,
            "layers": self.graph.widths(keep),
            "explanation": [row._asdict() for row in self.graph.explain()],
            "budget": runs.outside_strategy(self.selector.report, keep),
        }

    def _selector_of(self, graph, original=None):
        """Returns the `Selector` of a graph, which may measure models."""
        return runs.outside_strategy(
            selection.Selector,
            graph,
            self.budget,
            self.min_units,
            self.ranking,
            self.max_units,
            self.align,
            original,
        )
