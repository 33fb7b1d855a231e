"""A run of a second, for tests, and as a program of its own.

    python -m tests.tiny_run FOLDER STRATEGY PAUSE METHOD
"""

import sys
import time

import keras
from keras import layers
import numpy as np
import tensorflow as tf

from tfprune import budgets
from tfprune import criteria
from tfprune import losses
from tfprune import methods
from tfprune import pretraining
from tfprune import pruning
from tfprune import replicas
from tfprune import schedules
from tfprune import training

SEED = 7
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(22, 6, 6, 2)).astype("float32")
LABELS = RNG.integers(0, 3, 22)


def network():
    """Returns a network with batch normalisation and dropout."""
    inputs = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(10, 3, use_bias=False, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Conv2D(6, 3, activation="relu", name="second")(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(3, name="class")(layers.Flatten()(x))
    return keras.Model(inputs, outputs)


def examples(images=IMAGES, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((images, labels))


def dataset(*arrays):
    """Returns shuffled batches of 8, 8 and 6 examples."""
    return examples(*arrays).shuffle(len(LABELS), SEED).batch(8)


def method(rate=0.05, steps=12, **kwargs):
    """Returns a method that prunes half of the way, then fine-tunes."""
    settings = {
        "criterion": criteria.TaylorFO(),
        "budget": budgets.Budget(macs=0.5, tolerance=0.1),
        "schedule": schedules.PolynomialDecay(
            0.0, 0.5, 0, steps // 2, frequency=2
        ),
        "trainer": training.Trainer(keras.optimizers.SGD(rate, momentum=0.9)),
        "steps": steps,
        "round_steps": 2,
    }
    return methods.Iterative(**(settings | kwargs))


def pipeline(half_steps=2, fine_tuning_steps=8):
    """Returns a search by AOFP, and a fine-tuning of what it leaves."""

    def trainer(rate):
        return training.Trainer(keras.optimizers.SGD(rate, momentum=0.9))

    search = methods.AOFP(
        budgets.Budget(macs=0.5, tolerance=0.1),
        trainer(0.01),
        steps=300,
        threshold=0.4,
        half_steps=half_steps,
        warmup=2,
        round_steps=3,
    )
    return methods.Pipeline(
        [
            search,
            methods.FineTuning(trainer(0.05), fine_tuning_steps, round_steps=3),
        ]
    )


METHODS = {
    "iterative": lambda: method(steps=80),
    "pipeline": lambda: pipeline(12, 60),
}


def base(epochs=12):
    """Returns the pretraining of the network."""
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return pretraining.Pretraining(training.Trainer(optimizer), epochs)


def run(folder, **kwargs):
    """Prunes the network into a folder; returns what is left of it."""
    keras.utils.set_random_seed(SEED)
    settings = {
        "model": network(),
        "dataset": dataset(),
        "method": method(),
        "loss_fn": losses.CrossEntropy(),
        "output_dir": folder,
        "validation_data": examples().batch(8),
        "seed": SEED,
    }
    return pruning.prune(**(settings | kwargs))


def main(folder, strategy, pause, name):
    tf.config.experimental.enable_op_determinism()
    with replicas.make_strategy(strategy).scope():
        run(
            folder,
            method=METHODS[name](),
            pretraining=base(),
            on_record=lambda *_: time.sleep(float(pause)),
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
