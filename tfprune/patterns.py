"""Variables, told by regular expressions that are found in their paths."""

import re


def check(patterns):
    """Raises an error if one of some patterns is no regular expression.

    Args:
        patterns: Iterable of what should be strings.

    Raises:
        ValueError: If one of them is none.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise ValueError(
                "Paths of variables are told by regular expressions. "
                f"Received: {pattern!r}, which is none: {error}."
            ) from error


def found(patterns, variable):
    """Returns those patterns that are found in the path of a variable.

    Args:
        patterns: Regular expressions.
        variable: A `keras.Variable`.
    """
    return [each for each in patterns if re.search(each, variable.path)]
