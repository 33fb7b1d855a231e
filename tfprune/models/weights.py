"""Weights of the networks from files, of Keras or with the names of PyTorch."""

import pathlib
import re
import reprlib

import numpy as np

# Axes of PyTorch's tensor in terms of those of the Keras variable of a rank.
_TORCH_AXES = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}

_TORCH_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def load(model, path):
    """Returns `model` with the weights of a file, which are assigned to it.

    Args:
        model: One of the networks of this package.
        path: A `.npz` file that `load_npz` reads, or a `.keras` or
            `.weights.h5` file that Keras wrote of the same network, or `None`
            to leave the weights as they are.

    Raises:
        FileNotFoundError: If there is no file at `path`.
        ValueError: If the file does not fit the model.
    """
    if path is None:
        return model
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            "`weights` must be the path of a `.npz`, `.keras` or `.weights.h5` "
            f"file. Received: weights={str(path)!r}, which is no file."
        )
    if path.suffix == ".npz":
        load_npz(model, path)
    else:
        model.load_weights(path)
    return model


def load_npz(model, path):
    """Assigns the tensors of a `.npz` file to a ResNet with padded shortcuts.

    The file holds one array for each variable, named and laid out as
    PyTorch's CIFAR ResNets are: `conv1.weight` [out, in, height, width],
    `bn1.running_var`, `layer2.0.bn1.bias`, `linear.weight` [out, in]. Nothing
    is assigned unless everything fits.

    Args:
        model: A model of `resnet.resnet` with `shortcut="pad"`.
        path: Of the `.npz` file.

    Raises:
        ValueError: If the names or the shapes of the arrays are not those of
            the model.
    """
    variables = {
        f"{_torch_name(layer.name)}.{_TORCH_NAMES[variable.name]}": variable
        for layer in model.layers
        for variable in layer.weights
    }
    with np.load(path) as arrays:
        tensors = dict(arrays)
    _check(variables, tensors, path)
    for name, variable in variables.items():
        axes = _TORCH_AXES[len(variable.shape)]
        variable.assign(tensors[name].transpose(np.argsort(axes)))


def _torch_name(layer_name):
    """Returns `layer2.0.bn1` for `block2_1_conv1_bn`."""
    if layer_name == "logits":
        return "linear"
    match = re.fullmatch(r"(?:block(\d)_(\d+)_)?conv(\d)(_bn)?", layer_name)
    if match is None:
        raise ValueError(
            "A `.npz` file holds a ResNet with parameter-free shortcuts. "
            f"Received: a model with the layer {layer_name!r}; build it with "
            'shortcut="pad", or load a `.keras` or `.weights.h5` file.'
        )
    stage, block, number, bn = match.groups()
    prefix = f"layer{stage}.{int(block) - 1}." if stage else ""
    return f"{prefix}{'bn' if bn else 'conv'}{number}"


def _check(variables, tensors, path):
    missing = sorted(variables.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - variables.keys())
    if missing or unexpected:
        raise ValueError(
            "A `.npz` file must hold one array for each variable of the model. "
            f"Received: {str(path)!r}, missing={reprlib.repr(missing)}, "
            f"unexpected={reprlib.repr(unexpected)}; build the depth it holds."
        )
    for name, variable in variables.items():
        shape = tuple(
            variable.shape[axis] for axis in _TORCH_AXES[len(variable.shape)]
        )
        if tensors[name].shape != shape:
            raise ValueError(
                f"{name!r} must have shape {shape} to fit {variable.path!r}. "
                f"Received: shape {tensors[name].shape} in {str(path)!r}."
            )
