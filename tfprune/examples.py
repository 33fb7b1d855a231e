"""Which calls compute each example by itself, whatever else is in the batch."""

import keras
from keras import layers
import numpy as np

from tfprune import linear
from tfprune import masking

_LAYERS = frozenset(
    getattr(layers, name)
    for name in """
    Activation Add Average AveragePooling1D AveragePooling2D AveragePooling3D
    BatchNormalization Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose
    Conv3D Conv3DTranspose Cropping1D Cropping2D Cropping3D Dense
    DepthwiseConv1D DepthwiseConv2D Dropout ELU Flatten GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D
    GlobalMaxPooling2D GlobalMaxPooling3D Identity LayerNormalization LeakyReLU
    MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum Multiply Permute
    PReLU ReLU Reshape SeparableConv1D SeparableConv2D Softmax Subtract
    UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D
    ZeroPadding3D
    """.split()
)
# Operations of one element of each argument.
_OPERATIONS = frozenset(
    """
    Abs Absolute Add Divide Elu Exp Gelu HardSigmoid HardSilu LeakyRelu Log
    Maximum Minimum Multiply Negative Relu Relu6 ReLU Sigmoid Silu Softplus Sqrt
    Square Subtract Tanh TrueDivide
    """.split()
)


def alone(call):
    """Whether the first axis of all inputs and outputs is one of examples.

    Each of them must be computed of the same one of the inputs, in inference
    mode. `False` if that is not known.

    Args:
        call: A `Call`, or one of `linear.calls`.
    """
    return _fits(call) and _computes_alone(call)


def _fits(call):
    """Whether nothing but what all examples share lacks their axis."""
    tensors = [*call.inputs, *call.outputs]
    ranks = {len(x.shape) for x in call.inputs}
    if len(ranks) != 1 or 0 in ranks or len({x.shape[0] for x in tensors}) > 1:
        return False
    (rank,) = ranks
    others = keras.tree.flatten((call.args, call.kwargs))
    shapes = [np.shape(x) for x in others if not _is_tensor(x)]
    return all(len(s) < rank or s[:1] == (1,) for s in shapes)


def _is_tensor(x):
    return isinstance(x, keras.KerasTensor)


def _computes_alone(call):
    layer = masking.unwrapped(call.layer)
    if isinstance(layer, linear.Linear):
        return True
    if isinstance(layer, linear.Ending):
        return _is_known(layer.activation)
    if not isinstance(layer, keras.layers.Layer):
        kind = type(layer)
        return kind.__module__.startswith("keras.") and (
            kind.__name__ in _OPERATIONS
        )
    return (
        type(layer) in _LAYERS
        and not call.kwargs.get("training")
        and _is_known(getattr(layer, "activation", None))
        and not _along_examples(layer, len(call.inputs[0].shape))
    )


def _is_known(activation):
    """Whether a function is one of Keras: one of a user may mix examples."""
    name = getattr(activation, "__name__", "")
    known = getattr(keras.activations, name, None)
    return activation is None or activation is known


def _along_examples(layer, rank):
    """Whether the first of the axes is one that a layer works along."""
    axes = getattr(layer, "axis", None)
    return axes is not None and 0 in np.ravel(axes) % rank
