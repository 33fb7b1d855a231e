"""One replica or two, on the two logical CPU devices of `conftest.py`."""

import tensorflow as tf


def one_replica():
    return tf.distribute.OneDeviceStrategy("CPU:0")


def two_replicas():
    # Collectives of a second strategy in one process collide with the first's.
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )
