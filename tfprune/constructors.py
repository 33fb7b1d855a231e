"""What an object was made with: the arguments of its constructor."""

import inspect

_ABSENT = object()
_ANY = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


def arguments(value):
    """Returns {name: argument} of what the constructor of an object was given.

    Each is in its `get_config`, or is kept in an attribute of its name, or of
    `_` and its name. What can be called is taken from the attribute, if there
    is one: a config may hold only its name. A `name` that a config holds is
    left out, because Keras numbers it.

    Args:
        value: An object.

    Raises:
        ValueError: If an argument cannot be found.
    """
    config = _config(value)
    found = {}
    for name in _names(value, config):
        kept = _kept(value, name)
        if name in config and not callable(kept):
            kept = config[name]
        if kept is _ABSENT:
            raise ValueError(
                f"an object of {type(value).__qualname__} that keeps no "
                f"attribute {name!r}, an argument of its constructor"
            )
        found[name] = kept
    return found


def _config(value):
    try:
        return value.get_config()
    except (AttributeError, NotImplementedError):
        return {}


def _names(value, config):
    """Returns the names of the arguments of an object, in order.

    A config is whole if it was written for the constructor or later; one that
    is inherited may lack what the constructor was given. What a constructor
    without a config passes on is known by the attributes alone.
    """
    kind = type(value)
    _, *parameters = inspect.signature(kind.__init__).parameters.values()
    if not hasattr(kind, "get_config"):
        names = [each.name for each in parameters if each.kind not in _ANY]
        if len(names) < len(parameters):
            names += [x for x in vars(value) if not x.startswith("_")]
        return dict.fromkeys(names)
    whole = _depth(kind, "get_config") <= _depth(kind, "__init__")
    named = [each.name for each in parameters if each.kind not in _ANY]
    names = config if config and whole else dict.fromkeys([*named, *config])
    return [name for name in names if name != "name"]


def _depth(kind, name):
    """Returns how far up the classes of a class a method is defined."""
    classes = enumerate(kind.__mro__)
    return next(depth for depth, each in classes if name in vars(each))


def _kept(value, name):
    """Returns the attribute that keeps an argument, or `_ABSENT`."""
    attributes = getattr(value, "__dict__", {})
    for each in (name, f"_{name}"):
        if each in attributes:
            return attributes[each]
    kept = getattr(value, name, _ABSENT)  # of a property or a slot
    own = inspect.ismethod(kept) and kept.__self__ is value
    return _ABSENT if own else kept
