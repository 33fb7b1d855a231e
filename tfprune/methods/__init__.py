"""Methods: what is removed, when, and how the model is trained meanwhile."""

from tfprune.methods.base import Method
from tfprune.methods.iterative import Iterative
