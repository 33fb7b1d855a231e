"""Methods one after another."""

from tfprune import checks
from tfprune.methods import base


class Pipeline(base.Method):
    """Stages, each of which goes on with the model that the one before left.

    Args:
        stages: `Method`s in their order, one or more, each with a trainer and
            an optimizer of its own.

    Raises:
        ValueError: If a stage is something else.
    """

    def __init__(self, stages):
        if not isinstance(stages, (list, tuple)) or not stages:
            raise ValueError(
                "`stages` must be a list of Methods. "
                f"Received: stages={stages!r}."
            )
        for stage in stages:
            checks.check_kind(base.Method, stage=stage)
        self._stages = tuple(stages)

    @property
    def stages(self):
        return sum((stage.stages for stage in self._stages), ())

    def check(self, model, dataset, loss_fn):
        for stage in self.stages:
            stage.check(model, dataset, loss_fn)
