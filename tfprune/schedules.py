"""The sparsity schedules of tensorflow_model_optimization.

Importing that package sets `TF_USE_LEGACY_KERAS` and, unless `tf.keras` was
touched before, turns it into Keras 2; neither happens here.
"""

import os

import numpy as np
import tensorflow as tf

tf.keras.Model  # noqa: B018  Resolves `tf.keras` to Keras 3.
_before = os.environ.get("TF_USE_LEGACY_KERAS")
import tensorflow_model_optimization as tfmot  # noqa: E402

os.environ.pop("TF_USE_LEGACY_KERAS", None)
if _before is not None:
    os.environ["TF_USE_LEGACY_KERAS"] = _before

ConstantSparsity = tfmot.sparsity.keras.ConstantSparsity
PolynomialDecay = tfmot.sparsity.keras.PolynomialDecay
PruningSchedule = tfmot.sparsity.keras.PruningSchedule


def check(schedule, steps):
    """Raises an error if a schedule has not pruned all within some steps.

    Args:
        schedule: A `PruningSchedule`.
        steps: Training steps in all.

    Raises:
        ValueError: If it does not prune in its `end_step`, ends later, or has
            a higher sparsity before.
    """
    end = getattr(schedule, "end_step", None)
    if end is None or not 0 < end <= steps:
        raise ValueError(
            "`schedule` must have an `end_step` from 1 to `steps`. "
            f"Received: end_step={end}, steps={steps}."
        )
    prunes, sparsity = schedule(end)
    if not prunes or not sparsity > 0:
        raise ValueError(
            "`schedule` must prune in its `end_step`, to a sparsity above 0. "
            f"Received: {schedule.get_config()}. Make `end_step - begin_step` "
            "a multiple of `frequency`."
        )
    most = max(float(schedule(int(s))[1]) for s in np.linspace(1, end, 50))
    if most > float(sparsity) + 1e-6:
        raise ValueError(
            "`schedule` must be at its highest sparsity in its `end_step`, "
            f"because what is gone stays gone. Received: {most} before "
            f"{float(sparsity)} in step {end}."
        )
