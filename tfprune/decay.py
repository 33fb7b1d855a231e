"""What makes weights smaller besides the loss: weight decay, group lasso."""

from keras import layers
import tensorflow as tf

from tfprune import checks
from tfprune import patterns

LEAST = 1e-5  # Norm up to which the group lasso leaves a filter.

# The axes of a kernel that tell its filters apart.
_FILTERS = (
    ((layers.Conv1D, layers.Conv2D, layers.Conv3D), {"kernel": [-1]}),
    (
        (
            layers.Conv1DTranspose,
            layers.Conv2DTranspose,
            layers.Conv3DTranspose,
        ),
        {"kernel": [-2]},
    ),
    ((layers.DepthwiseConv1D, layers.DepthwiseConv2D), {"kernel": [-2, -1]}),
    (
        (layers.SeparableConv1D, layers.SeparableConv2D),
        {"depthwise_kernel": [-2, -1], "pointwise_kernel": [-1]},
    ),
)


def check(optimizer, weight_decay, exclude, group_lasso):
    """Raises an error if weights cannot decay as the arguments say.

    Args:
        optimizer: As for `training.Trainer`.
        weight_decay: As for `training.Trainer`.
        exclude: As `exclude_from_weight_decay` for `training.Trainer`.
        group_lasso: As for `training.Trainer`.

    Raises:
        ValueError: If one is out of range, or the optimizer decays weights.
    """
    checks.check_number(weight_decay=weight_decay, group_lasso=group_lasso)
    if weight_decay and optimizer.weight_decay:
        raise ValueError(
            "Weights must decay in one place. Received: weight_decay="
            f"{weight_decay} and optimizer.weight_decay="
            f"{optimizer.weight_decay}; set one of them to 0."
        )
    if isinstance(exclude, str):
        raise ValueError(
            "`exclude_from_weight_decay` must be a tuple of strings. "
            f"Received: exclude_from_weight_decay={exclude!r}."
        )
    patterns.check(exclude)


def decayed(gradients, variables, weight_decay, exclude):
    """Returns gradients with the L2 term, `weight_decay * w`, of each variable.

    Args:
        gradients: Float32 tensors.
        variables: That they are of, `keras.Variable`s.
        weight_decay: The factor.
        exclude: Regular expressions; a variable does not decay if one is found
            in its path.
    """
    if not weight_decay:
        return gradients
    return [
        gradient
        if patterns.found(exclude, variable)
        else gradient + weight_decay * tf.cast(variable, tf.float32)
        for gradient, variable in zip(gradients, variables, strict=True)
    ]


def filters(model):
    """Returns the kernels of the convolutions of a model that are trained.

    Args:
        model: A `keras.Model`.

    Returns:
        List of pairs of a variable, and of its axes that tell filters apart.

    Raises:
        ValueError: If there are none.
    """
    trained = {id(variable) for variable in model.trainable_variables}
    found = {}
    # Nothing public finds those inside of wrappers and of nested models.
    for layer in model._flatten_layers():
        for kinds, kernels in _FILTERS:
            if isinstance(layer, kinds):
                for name, axes in kernels.items():
                    kernel = getattr(layer, name)
                    found[id(kernel)] = kernel, axes
    pairs = [pair for key, pair in found.items() if key in trained]
    if not pairs:
        raise ValueError(
            "`group_lasso` is for the filters of convolutions. "
            f"Received: model {model.name!r}, which trains none."
        )
    return pairs


def shrink(kernel, axes, group_lasso):
    """Makes the norm of each filter of a kernel smaller by a number.

    A filter becomes

        w - group_lasso * w / (|w| + 1e-13)

    if its L2 norm |w| is above `LEAST`, whatever the learning rate (the group
    weight decay in the code of Molchanov et al., 2019, arXiv:1906.10771).
    Unlike there, a filter of a smaller norm than the number becomes 0, and
    does not change its sign.

    Args:
        kernel: A `keras.Variable`.
        axes: Those of it that tell filters apart.
        group_lasso: The number.
    """
    weights = tf.cast(kernel, tf.float32)
    rank = len(weights.shape)
    inside = sorted(set(range(rank)) - {axis % rank for axis in axes})
    norms = tf.sqrt(tf.reduce_sum(weights**2, axis=inside, keepdims=True))
    share = tf.minimum(group_lasso / (norms + 1e-13), 1.0)
    share = tf.where(norms > LEAST, share, 0.0)
    kernel.assign(tf.cast(weights - share * weights, kernel.dtype))
