"""The loop that trains a model for some epochs or steps."""

import itertools

from absl import logging
import tensorflow as tf

from tfprune import checks
from tfprune import evaluation
from tfprune import replicas


def fit(
    model,
    dataset,
    loss_fn,
    trainer,
    *,
    epochs=None,
    steps=None,
    validation_data=None,
    teacher=None,
    on_record=None,
):
    """Trains a model under the current strategy.

    Args:
        model: A `keras.Model`, made under the strategy; its weights change.
        dataset: A `tf.data.Dataset` of batched `(inputs, labels)`, read again
            for every epoch; a batch is split over the replicas.
        loss_fn: Called as `loss_fn(labels, outputs)`, returns [batch].
        trainer: A `Trainer`.
        epochs: Passes over the dataset, 1 or more.
        steps: Batches, 1 or more; either `epochs` or `steps` is given.
        validation_data: A dataset to evaluate after every epoch. Defaults to
            `None`.
        teacher: A `keras.Model`, as for `Trainer.build`.
        on_record: Called with every record once it is made.

    Returns:
        A list of records, one for each epoch, whole or not. A record is a dict
        of `epoch` and `step` (from 1), `loss` (mean over the epoch's batches),
        `learning_rate` (of the next step), `validation_loss` and
        `validation_accuracy` (see `evaluation.evaluate`).

    Raises:
        ValueError: If the model, the dataset and the loss do not fit
            together; see `checks.check_batch`.
        FloatingPointError: If the loss or its gradient is not finite. The
            weights are those from before that step.
    """
    _check_duration(dataset, epochs, steps)
    checks.check_batch(model, dataset, loss_fn)
    if validation_data is not None:
        checks.check_batch(model, validation_data, loss_fn)
    trainer.build(model, teacher)
    batches, train_step = replicas.distribute(
        dataset,
        lambda inputs, labels: trainer.step(model, loss_fn, inputs, labels)[1],
    )
    history, step = [], 0
    for epoch in itertools.count(1):
        losses = []
        for batch in batches:
            step += 1
            losses.append(_finite_loss(train_step(batch), step))
            if step == steps:
                break
        if not losses:
            raise ValueError(
                "The dataset must be one that can be read for every epoch. "
                f"Received: 0 batches in epoch {epoch}."
            )
        record = {
            "epoch": epoch,
            "step": step,
            "loss": sum(losses) / len(losses),
            "learning_rate": trainer.learning_rate,
        }
        if validation_data is not None:
            measures = evaluation.evaluate(model, validation_data, loss_fn)
            record |= {f"validation_{k}": v for k, v in measures.items()}
        history.append(record)
        logging.info("Trained: %s", record)
        if on_record is not None:
            on_record(record)
        if epoch == epochs or step == steps:
            return history


def _check_duration(dataset, epochs, steps):
    if (epochs is None) == (steps is None) or (epochs or steps or 0) < 1:
        raise ValueError(
            "Exactly one of `epochs` and `steps` must be given, 1 or more. "
            f"Received: epochs={epochs}, steps={steps}."
        )
    if epochs and dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "The dataset must end for `epochs` to be counted. "
            f"Received: an infinite dataset, epochs={epochs}; give `steps`."
        )


def _finite_loss(update, step):
    if not update.finite:
        raise FloatingPointError(
            "The loss and its gradient must be finite. Received: "
            f"loss={update.loss} at step {step}, which was not applied; lower "
            "the learning rate, or clip the gradient with `clip_norm`."
        )
    return float(update.loss)
