"""TensorFlow's log, seeds, and two logical CPU devices for replicas."""

import os

# Tests read what commands print, which has no place for TensorFlow's log.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfprune import timing  # noqa: E402


def pytest_addoption(parser):
    parser.addoption(
        "--seeds",
        nargs=2,
        type=int,
        metavar=("FIRST", "LAST"),
        help="of the random models; by default 0 to 149, of which some saved",
    )


def pytest_configure(config):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def brief_samples(monkeypatch):
    monkeypatch.setattr(timing, "SAMPLE_MS", 1.0)


@pytest.fixture
def threads(monkeypatch):
    """Returns the numbers of threads that TensorFlow was asked to use."""
    asked = []
    for name in ("intra", "inter"):
        setter = f"set_{name}_op_parallelism_threads"
        monkeypatch.setattr(tf.config.threading, setter, asked.append)
    return asked
