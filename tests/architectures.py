"""Random architectures: lists of steps that make a model.

Any list of steps is an architecture: a step says how far back the tensors are
that it reads, and takes what is there. So `tests.shrinking` can leave out any.

This is not left to `hypothesis`, which varies what it drew before: of 150
lists a third had one step or two, and 5 to 13 of 81 kinds were in none of them.
"""

import math
import random
from typing import NamedTuple

import keras
from keras import layers
import numpy as np

from tests.kinds import base

LARGEST = 500  # How many numbers a tensor may hold to be read.


class Step(NamedTuple):
    """One node of an architecture, or a few."""

    kind: str
    reads: tuple = ()  # for each input, how many tensors of its form back
    settings: dict = {}


def drawn(seed):
    """Returns the architecture of a seed."""
    rng = random.Random(seed)
    return [_drawn_step(rng) for _ in range(rng.randint(2, 10))]


def _drawn_step(rng):
    name = rng.choice(list(base.KINDS))
    _, forms, settings = base.KINDS[name]
    return Step(
        name,
        tuple(min(rng.randrange(4), rng.randrange(4)) for _ in forms),
        {key: rng.choice(values) for key, values in settings.items()},
    )


def build(steps):
    """Returns the model of a list of `Step`s, with random weights.

    It begins with an image and a convolution. What no step reads is flattened
    and goes through a dense layer into an output of its own. Outputs are a dict
    if intermediate tensors are among them: those of one layer share its name.
    """
    keras.utils.clear_session(free_memory=False)  # Names begin anew.
    inputs, tensors, read, shown = [], [], set(), {}
    for step in (Step("image_input"), *steps):
        kind = base.KINDS[step.kind]
        found = _found(tensors, step.reads, kind.forms)
        read.update(map(id, found))
        if step.kind == "output":
            shown[id(found[0])] = found[0]
        made = kind.make(*_formed(found, kind.forms), **step.settings)
        made = keras.tree.flatten(made)
        if not kind.forms:
            inputs.append(made[0])
            read.add(id(made[0]))
        tensors.extend(made)
    outputs = [_head(x) for x in tensors if id(x) not in read]
    if shown:
        outputs += shown.values()
        outputs = {f"output_{n}": x for n, x in enumerate(outputs)}
    model = keras.Model(inputs, outputs)
    _fill(model)
    return model


def _found(tensors, reads, forms):
    """Returns the tensors that a step reads, of its forms where there are."""
    readable = [
        x
        for x in tensors
        if math.prod(x.shape[1:]) <= LARGEST and x.dtype != "int32"
    ]
    found = []
    for back, form in zip(reads, forms):
        rank = _rank(form, found)
        fitting = [x for x in readable if len(x.shape) == rank] or readable
        found.append(fitting[-1 - back % len(fitting)])
    return found


def _formed(found, forms):
    """Returns tensors in the forms that a kind takes them."""
    return [base.to_form(x, _rank(f, found)) for x, f in zip(found, forms)]


def _rank(form, found):
    """Returns the rank of a form, None for any."""
    if form == base.SAME:
        return len(found[0].shape)
    return None if form == base.ANY else form


def _head(x):
    return layers.Dense(2)(layers.Flatten()(x))


def _fill(model):
    """Gives a model weights that show leaks and keep numbers near one."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = weight.shape
        if len(shape) > 1:  # a kernel
            fan_in = math.prod(shape[:-2]) * min(shape[-2:])
            value = rng.normal(size=shape) / math.sqrt(fan_in)
        else:
            value = rng.uniform(0.5, 1.5, shape)
            if "variance" not in weight.name:
                value *= rng.choice((-1.0, 1.0), shape)
        weight.assign(value)
