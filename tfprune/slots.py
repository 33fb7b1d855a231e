"""What an optimizer keeps of each weight, such as its momentum."""

import collections

import keras
import tensorflow as tf


def check(optimizer):
    """Raises an error if the slots of an optimizer cannot be reset.

    Args:
        optimizer: A `keras.optimizers.Optimizer`.

    Raises:
        ValueError: If it is `Adafactor`, whose slots have not the shape of the
            variables.
    """
    if isinstance(optimizer, keras.optimizers.Adafactor):
        raise ValueError(
            "Every slot of the optimizer must belong to one weight. "
            "Received: Adafactor, which keeps those of rows and columns; "
            "train with another optimizer."
        )


def reset(optimizer, variables, masks):
    """Returns the slots of masked weights to their start.

    That is 0, or `optimizer.initial_accumulator_value` where an optimizer that
    has one divides by it.

    Args:
        optimizer: A `keras.optimizers.Optimizer`, built.
        variables: The model variables that it was built for.
        masks: Pairs of a model variable and an array of its shape, 0 where its
            slots are reset and 1 where they stay. A variable that is not
            trained has none.

    Raises:
        ValueError: If a slot belongs to no variable.
    """
    slots = _of_each(optimizer, variables)
    start = getattr(optimizer, "initial_accumulator_value", 0.0)
    for variable, mask in masks:
        for slot in slots[id(variable)]:
            fresh = start if slot.name.endswith("_accumulator") else 0.0
            slot.assign(tf.where(tf.cast(mask, tf.bool), slot, fresh))


def _of_each(optimizer, variables):
    """Returns the optimizer's variables of each model variable, by its id.

    Keras names them after the path of the model variable. Paths repeat where
    models are nested, and the order of `variables` then tells them apart.
    """
    owners = collections.defaultdict(list)
    for variable in variables:
        owners[variable.path.replace("/", "_") + "_"].append(variable)
    slots = collections.defaultdict(list)
    seen = collections.Counter()
    for slot in optimizer.variables:
        prefixes = [name for name in owners if slot.name.startswith(name)]
        if prefixes:
            twins = owners[max(prefixes, key=len)]
            slots[id(twins[seen[slot.name]])].append(slot)
            seen[slot.name] += 1
        elif slot.shape.rank > 0:
            raise ValueError(
                "Every slot of the optimizer must belong to one variable. "
                f"Received: slot {slot.path!r} of shape {slot.shape} of "
                f"{type(optimizer).__name__}; train with another optimizer."
            )
    return slots
