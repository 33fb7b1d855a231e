"""Criteria: what a unit is worth; a bigger score means keep."""

from tfprune.criteria.base import Batch
from tfprune.criteria.base import Criterion
from tfprune.criteria.base import Tap
from tfprune.criteria.base import WeightCriterion
from tfprune.criteria.bn_scale import BNScale
from tfprune.criteria.oracle import Oracle
from tfprune.criteria.random import Random
from tfprune.criteria.taylor import TaylorFO
from tfprune.criteria.weight_norm import WeightNorm
