"""Base models: trained once, kept in a file."""

import pathlib

from absl import logging
import keras

from tfprune import files
from tfprune import training

FILE = "base.keras"


def pretrain(model, dataset, loss_fn, trainer, output_dir, **settings):
    """Returns a trained model; trains it only if its file is not there yet.

    Args:
        model: A `keras.Model`, made under the current strategy.
        dataset: `tf.data.Dataset` of batched `(inputs, labels)`.
        loss_fn: Function `(labels, outputs)` to one loss per example, [batch].
        trainer: A `Trainer`.
        output_dir: Folder of the file, `base.keras`.
        **settings: As for `training.fit`: `epochs` or `steps`, and more.

    Raises:
        ValueError: If model, data and loss do not fit, before any training.
        FloatingPointError: If the loss is not finite.
    """
    path = pathlib.Path(output_dir) / FILE
    if path.exists():
        logging.info("The base model is that of %s.", path)
        model.set_weights(keras.models.load_model(path).get_weights())
        return model
    training.fit(model, dataset, loss_fn, trainer, **settings)
    with files.atomic(path) as partial:
        model.save(partial)
    return model
