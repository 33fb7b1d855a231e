"""What a model is given, in the order of its inputs."""

import keras
from keras import tree


def as_given(tensor, value):
    """Returns a value with the rank of a model's input, as `Model.call` does.

    Args:
        tensor: The symbolic input.
        value: What it is given; a last axis of length 1 may be too much, or
            may lack.
    """
    value = keras.ops.convert_to_tensor(value, tensor.dtype)
    more = len(value.shape) - len(tensor.shape)
    if more == 1 and value.shape[-1] == 1:
        return keras.ops.squeeze(value, -1)
    if more == -1 and tensor.shape[-1] == 1:
        return keras.ops.expand_dims(value, -1)
    return value


def nested_inputs(model, args, kwargs):
    """Returns what a nested model is called with in the order of its `inputs`.

    Args:
        model: The nested model.
        args: Positional arguments of the call.
        kwargs: Its keyword arguments.

    Raises:
        ValueError: If a tensor has not the rank of the input: Keras would add
            or remove an axis out of sight.
    """
    tensors = flat_inputs(model, args[0] if args else kwargs["inputs"])
    for tensor, own in zip(tensors, model.inputs):
        if tensor is not None and len(tensor.shape) != len(own.shape):
            raise ValueError(
                "A nested model must be called with tensors of the rank of its "
                f"inputs. Received: shape {tensor.shape} for input "
                f"{own.name!r} of shape {own.shape} of {model.name!r}. Put a "
                "`Reshape` before it."
            )
    return tensors


def flat_inputs(model, inputs):
    """Returns what a model is called with in the order of its `inputs`.

    A model that was built of a dict takes one with the same keys. Another one
    takes a dict by the names of its inputs, and all else as it lies flat.

    Args:
        model: A built Functional or Sequential model.
        inputs: A tensor, or a nest of them.

    Raises:
        ValueError: If a dict lacks an input, or if it has keys that the one
            that the model was built of has not: Keras would take the values in
            the order of all keys.
    """
    if not isinstance(inputs, dict):
        return tree.flatten(inputs)
    of_dict = not isinstance(model, keras.Sequential) and isinstance(
        model.input, dict
    )
    names = list(model.input) if of_dict else [x.name for x in model.inputs]
    missing = not inputs.keys() >= set(names)
    if missing or of_dict and len(inputs) > len(names):
        raise ValueError(
            f"Inputs in a dict must have the names of those of the model, "
            f"{names}{', and no others' if of_dict else ''}. Received: "
            f"{sorted(inputs)}."
        )
    return tree.flatten(inputs) if of_dict else [inputs[x] for x in names]
