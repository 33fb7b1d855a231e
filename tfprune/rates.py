"""Learning rates of single variables, as factors of that of the optimizer."""

import tensorflow as tf

from tfprune import patterns


def check(factors):
    """Raises an error if the factors are none.

    Args:
        factors: dict, as `learning_rate_factors` for `training.Trainer`.

    Raises:
        ValueError: If one is not above 0, or a key no regular expression.
    """
    if not all(
        isinstance(factor, (int, float)) and factor > 0
        for factor in factors.values()
    ):
        raise ValueError(
            "`learning_rate_factors` must be above 0; what is not to be "
            "trained is set by `trainable = False`. "
            f"Received: learning_rate_factors={factors}."
        )
    patterns.check(factors)


def starts(variables, factors):
    """Returns where those variables are that have a factor.

    Args:
        variables: `keras.Variable`s, before an update.
        factors: As for `check`; the last key that is found in the path of a
            variable counts.

    Returns:
        List of tuples of a variable, its factor and its value.
    """
    found = []
    for variable in variables:
        keys = patterns.found(factors, variable)
        factor = factors[keys[-1]] if keys else 1.0
        if factor != 1.0:
            found.append((variable, factor, tf.identity(variable)))
    return found


def scale(starts):
    """Multiplies what was added to variables by their factors.

    Args:
        starts: What the function returned before the update.
    """
    for variable, factor, start in starts:
        variable.assign(start + factor * (variable - start))
        if variable.constraint is not None:
            variable.assign(variable.constraint(variable))
