"""Criteria: what a unit is worth; a bigger score means keep."""

from tfprune.criteria.activation_variance import ActivationVariance
from tfprune.criteria.apoz import APoZ
from tfprune.criteria.base import Criterion
from tfprune.criteria.base import WeightCriterion
from tfprune.criteria.bn_scale import BNScale
from tfprune.criteria.bn_taylor import BNTaylor
from tfprune.criteria.correlations import Correlation
from tfprune.criteria.correlations import by_layer
from tfprune.criteria.correlations import correlation
from tfprune.criteria.fisher import Fisher
from tfprune.criteria.mean_activation import MeanActivation
from tfprune.criteria.mean_gradient import MeanGradient
from tfprune.criteria.mean_squared_weight import MeanSquaredWeight
from tfprune.criteria.obd import OBD
from tfprune.criteria.oracle import Oracle
from tfprune.criteria.random import Random
from tfprune.criteria.saliency import Saliency
from tfprune.criteria.taylor import TaylorFO
from tfprune.criteria.taylor_output import TaylorOutput
from tfprune.criteria.taylor_so import TaylorSO
from tfprune.criteria.taylor_weight import TaylorWeight
from tfprune.criteria.weight_norm import WeightNorm
from tfprune.criteria.weight_saliency import WeightSaliency
from tfprune.reading import Batch
from tfprune.reading import Tap
