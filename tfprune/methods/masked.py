"""What methods share that mask units of a model while it trains."""

import numpy as np

from tfprune import compaction
from tfprune import limits
from tfprune import masking
from tfprune import rankings
from tfprune import runs
from tfprune import selection
from tfprune import slots
from tfprune import tracing
from tfprune import verification
from tfprune.methods import trained

TRIALS = 3  # Random scores that may show that a budget can be met.

class Masked(trained.Trained):
    """Trains a masked copy of a model, and compacts it in the end.

    Subclasses have a `budget`, `min_units` and `frozen`, too, and fill in
    `trial` and `step`.
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

    def trace(self, model):
        """Returns the `ChannelGraph` of what may be pruned."""
        return tracing.trace(model, self.frozen)

    def check_budget(self, selector, masked, graph):
        """Raises a ValueError if the method cannot meet its budget.

        Args:
            selector: The `Selector` of the graph.
            masked: As `model` for `trial`.
            graph: As for `trial`.
        """
        runs.outside_strategy(_check_any, selector, graph)

    def check(self, model, dataset, loss_fn):
        graph = self.trace(model)
        masked = masking.mask_model(model, graph)
        self.check_budget(self.selector_of(graph), masked, graph)
        self.trainer.check(masked)
        slots.check(self.trainer.optimizer)
        self.try_out(dataset, self.trial(masked, graph, loss_fn))
        # The end of the run, at a mask that takes of every layer.
        keep = limits.thinned(graph)
        runs.outside_strategy(compaction.compact, model, graph, keep)

    def start(self, model, dataset, loss_fn, original=None):
        graph = self.trace(model)
        later = original is not None and original is not model
        self.selector = self.selector_of(
            graph, self.trace(original) if later else None
        )
        masked = masking.mask_model(model, graph)
        verification.Proof(masked).verify_copy(model)
        self.begin(masked, graph, dataset, loss_fn, original or model)

    @property
    def keep(self):
        """Which units are alive, bool [num_units]."""
        return masking.get_mask(self.model, self.graph)

    def prune(self, keep):
        """Masks all units but those to keep.

        Args:
            keep: bool, [num_units].
        """
        masking.set_mask(self.model, self.graph, keep)
        self.trainer.mask_slots(
            masking.variable_masks(self.model, self.graph, keep)
        )

    def finish(self):
        proof = verification.Proof(self.model, self.loop.inputs())
        small, self._verified = compaction.proven(proof)
        return small

    def report(self, records=()):
        return {
            **super().report(records),
            "verification": self._verified,
            "budget": runs.outside_strategy(self.selector.report, self.keep),
        }

    def selector_of(self, graph, original=None):
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


def _check_any(selector, graph):
    """Raises an error if the budget is met by no scores of some."""
    rng = np.random.default_rng(0)
    draws = [rng.random(graph.num_units) for _ in range(TRIALS)]
    everything = np.ones(graph.num_units, bool)
    for scores in (1.0 + np.arange(graph.num_units), *draws):
        try:
            return selector.select(scores, everything)
        except ValueError as error:
            last = error
    raise last
