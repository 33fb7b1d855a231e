"""The minimal architecture that fails as a larger one does."""

import traceback

from tests.kinds import base


def check(architecture, prove):
    """Proves an architecture; if that fails, shows the minimal one.

    Args:
        architecture: A list of `Step`s.
        prove: Function of such a list that raises an error if it fails.

    Raises:
        AssertionError: Tells the steps to call `architectures.build` with.
    """
    error = failure(architecture, prove)
    if error is None:
        return
    place = _place(error)
    minimal = shrunk(
        architecture, lambda x: _place(failure(x, prove)) == place
    )
    raise AssertionError(
        f"{shown(minimal)}\n\nfails with {failure(minimal, prove)}"
    ) from error


def failure(architecture, prove):
    """Returns the error that `prove` raises, or None."""
    try:
        prove(architecture)
    except Exception as error:
        return error


def shrunk(architecture, fails):
    """Returns an architecture that fails, of which nothing can be left out."""
    for smaller in _smaller(architecture):
        if fails(smaller):
            return shrunk(smaller, fails)
    return architecture


def shown(architecture):
    """Returns an architecture as Python, with a line for each step."""
    return "\n".join(["[", *(f"    {step!r}," for step in architecture), "]"])


def _smaller(steps):
    """Yields `steps` without some of them, then with one made simpler."""
    size = len(steps) // 2
    while size:
        for start in range(0, len(steps), size):
            yield steps[:start] + steps[start + size :]
        size //= 2
    for place, step in enumerate(steps):
        for simpler in _simpler(step):
            yield [*steps[:place], simpler, *steps[place + 1 :]]


def _simpler(step):
    if any(step.reads):
        yield step._replace(reads=(0,) * len(step.reads))
    for name, values in base.KINDS[step.kind].settings.items():
        if step.settings[name] != values[0]:
            settings = {**step.settings, name: values[0]}
            yield step._replace(settings=settings)


def _place(error):
    """Returns what tells errors apart: their type, and the line they are of."""
    if error is None:
        return None
    last = traceback.extract_tb(error.__traceback__)[-1]
    return type(error), last.filename, last.lineno
