"""Tests for tfprune: what is reached from the package itself."""

import inspect
import subprocess
import sys

import tfprune

LIST = """
import tfprune
names = set(vars(tfprune))
from tfprune import *
assert set(tfprune.__all__) <= names & set(vars())
"""


def test_public_names_come_with_the_package():
    subprocess.run([sys.executable, "-c", LIST], check=True)
    assert tfprune.__all__ == sorted(set(tfprune.__all__))


def test_public_names_are_documented():
    for name in tfprune.__all__:
        assert inspect.getdoc(getattr(tfprune, name)), name


def test_every_other_name_is_a_module():
    # What the package needs itself is imported as modules.
    for name, value in vars(tfprune).items():
        public = name in tfprune.__all__ or name.startswith("__")
        assert public or inspect.ismodule(value), name
