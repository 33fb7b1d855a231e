"""Methods: what is removed, when, and how the model is trained meanwhile."""

from tfprune.methods.aofp import AOFP
from tfprune.methods.base import Method
from tfprune.methods.fine_tuning import FineTuning
from tfprune.methods.iterative import Iterative
from tfprune.methods.myopic_oracle import MyopicOracle
from tfprune.methods.pipeline import Pipeline
