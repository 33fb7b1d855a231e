"""Values of any kind in a canonical form, the same in every process."""

import copyreg
import functools
import hashlib
import inspect
import json
import sys
import types

import keras
import numpy as np
import tensorflow as tf

from tfprune import constructors


def describe(value, above=()):
    """Returns a value in the types of JSON, without addresses or hash order.

    A function or class counts with its name if it can be imported by it, and
    otherwise with what is written in it: code, defaults and the values it
    closes over; what it finds by name in its module counts with that name. An
    object counts with the arguments of its constructor, as `constructors` finds
    them, or with those that `pickle` would make it of.

    Args:
        value: Anything.
        above: Those that hold the value, the nearest first; one that is found
            again inside counts with how far up it is. Defaults to ().

    Raises:
        ValueError: If an object does not tell what it is made of.
    """
    for distance, each in enumerate(above, 1):
        if each is value:
            return f"{distance} up"
    return form(value, lambda inside: describe(inside, (value, *above)))


def digest(*contents):
    """Returns 12 digits that tell bytes from others."""
    return hashlib.sha256(b"".join(contents)).hexdigest()[:12]


@functools.singledispatch
def form(value, inner):
    """Returns the canonical form of a value of one type.

    Args:
        value: Anything; its type picks the function.
        inner: Function that returns the form of what is in the value.

    Raises:
        ValueError: As for `describe`.
    """
    if hasattr(value, "__array__"):
        return _array(np.asarray(value), inner)
    if not hasattr(value, "get_config") and _is_reduced(type(value)):
        return _reduced(value, inner)
    given = constructors.arguments(value)
    return {inner(type(value)): {k: inner(v) for k, v in given.items()}}


@form.register(type(None))
@form.register(bool)
@form.register(int)
@form.register(float)
@form.register(str)
def _(value, inner):
    return value


@form.register
def _(value: bytes, inner):
    return {"bytes": digest(value)}


@form.register(list)
@form.register(tuple)
def _(value, inner):
    return [inner(each) for each in value]


@form.register(set)
@form.register(frozenset)
def _(value, inner):
    return {"set": sorted((inner(each) for each in value), key=json.dumps)}


@form.register
def _(value: dict, inner):
    if not all(isinstance(key, str) for key in value):
        return {"dict": [[inner(k), inner(v)] for k, v in value.items()]}
    # The config of a layer inside of another, which Keras numbers.
    numbered = {"name", "trainable"} <= value.keys()
    return {
        k: inner(v) for k, v in value.items() if not (numbered and k == "name")
    }


@form.register
def _(value: types.ModuleType, inner):
    return value.__name__


@form.register
def _(value: type, inner):
    if _can_be_imported(value):
        return _path(value)
    members = {
        name: inner(getattr(each, "__func__", getattr(each, "fget", each)))
        for name, each in vars(value).items()
        if inspect.isroutine(each) or not name.startswith(("__", "_abc"))
    }
    text = json.dumps([inner(value.__bases__), members])
    return f"{_path(value)} {digest(text.encode())}"


@form.register
def _(value: types.FunctionType, inner):
    if _can_be_imported(value):
        return _path(value)
    cells = zip(value.__code__.co_freevars, value.__closure__ or ())
    return {
        _path(value): {
            "code": inner(value.__code__),
            "defaults": inner([value.__defaults__, value.__kwdefaults__]),
            "closure": {name: inner(x.cell_contents) for name, x in cells},
        }
    }


@form.register
def _(value: types.CodeType, inner):
    text = json.dumps([inner(value.co_consts), value.co_names])
    return digest(value.co_code, text.encode())


@form.register
def _(value: types.MethodType, inner):
    return [inner(value.__func__), inner(value.__self__)]


@form.register
def _(value: tf.types.experimental.PolymorphicFunction, inner):
    return {"tf.function": inner(value.python_function)}


@form.register
def _(value: keras.DTypePolicy, inner):
    return value.name


@form.register
def _(value: keras.losses.Loss, inner):
    # Configs of losses lack arguments, such as the `delta` of `Huber`.
    kept = {k: inner(v) for k, v in vars(value).items() if k != "name"}
    return {inner(type(value)): kept}


def _array(value, inner):
    if value.ndim == 0:
        return inner(value.item())
    if value.dtype.hasobject:
        return inner(value.tolist())
    return f"{value.dtype} {value.shape} {digest(value.tobytes())}"


def _is_reduced(kind):
    """Whether `copy` and `pickle` are told how objects are made again.

    Those without a constructor tell it by default.
    """
    return (
        kind in copyreg.dispatch_table
        or kind.__init__ is object.__init__
        or kind.__reduce__ is not object.__reduce__
        or kind.__reduce_ex__ is not object.__reduce_ex__
    )


def _reduced(value, inner):
    """Returns the call that makes an object again, as `pickle` has it."""
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        made = reduce(value) if reduce else value.__reduce_ex__(2)
    except TypeError as error:
        raise ValueError(f"{value!r}: {error}") from error
    if isinstance(made, str):  # the name of a global
        if hasattr(value, "__wrapped__") and not _can_be_imported(value):
            return {inner(type(value)): inner(value.__wrapped__)}
        module = getattr(value, "__module__", None) or type(value).__module__
        return f"{module}.{made}"
    items = [list(each) for each in made[3:5] if each is not None]
    return {inner(type(value)): inner([*made[1:3], *items])}


def _can_be_imported(value):
    """Whether another process finds the same under this name."""
    found = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value and value.__module__ != "__main__"


def _path(value):
    return f"{value.__module__}.{value.__qualname__}"
