"""Training steps to be timed, on random images of the size of CIFAR-10."""

import keras
import numpy as np
import tensorflow as tf

from tfprune import losses
from tfprune import training

BATCH_SIZE = 64  # images


def batch():
    """Returns images and labels."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(BATCH_SIZE, 32, 32, 3))
    labels = rng.integers(0, 10, BATCH_SIZE)
    return tf.constant(images, tf.float32), tf.constant(labels)


def stepper(model, stepped=lambda model: model, found=lambda stepped: ()):
    """Returns a training step of a model.

    Args:
        model: With ten classes.
        stepped: Function from the model to what is called in its place.
        found: Function of that; the step returns what it returns, too.
    """
    images, labels = batch()
    loss_fn = losses.CrossEntropy()
    trainer = training.Trainer(keras.optimizers.SGD(0.01, momentum=0.9))
    trainer.build(model)
    strategy = tf.distribute.get_strategy()

    @tf.function(autograph=False)
    def step():
        def run():
            whole = stepped(model)
            _, update = trainer.step(whole, loss_fn, images, labels)
            return update, found(whole)

        return strategy.run(run)

    return step
