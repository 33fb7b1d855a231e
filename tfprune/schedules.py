"""The sparsity schedules of tensorflow_model_optimization.

Importing that package sets `TF_USE_LEGACY_KERAS` and, unless `tf.keras` was
touched before, turns it into Keras 2; neither happens here.
"""

import os

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
