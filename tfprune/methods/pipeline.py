"""Methods one after another."""

from tfprune import checks
from tfprune.methods import base


class Pipeline(base.Method):
    """Stages, each of which goes on with the model that the one before left.

    A fraction in a budget is of the model that the first began with; one in
    `min_units`, of the layers as the stage finds them.

    Args:
        stages: `Method`s in their order, one or more, each with a trainer and
            an optimizer of its own.

    Raises:
        ValueError: If a stage is something else, or shares a trainer or an
            optimizer with another.
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
        trainers = [x.trainer for x in self.stages if hasattr(x, "trainer")]
        _check_own("trainer", trainers)
        _check_own("optimizer", [trainer.optimizer for trainer in trainers])

    @property
    def stages(self):
        return sum((stage.stages for stage in self._stages), ())

    def check(self, model, dataset, loss_fn):
        for stage in self.stages:
            stage.check(model, dataset, loss_fn)


def _check_own(name, parts):
    if len(set(map(id, parts))) < len(parts):
        raise ValueError(
            f"Each stage must have a {name} of its own, which keeps the state "
            f"of one training. Received: one {name} in several stages; make a "
            "new one for each."
        )
