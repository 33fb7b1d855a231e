"""A mark for tests of what older versions of Keras cannot do."""

import keras
from packaging import version
import pytest


def needs_keras(oldest):
    older = version.parse(keras.__version__) < version.parse(oldest)
    return pytest.mark.skipif(older, reason=f"Works from Keras {oldest} on.")
