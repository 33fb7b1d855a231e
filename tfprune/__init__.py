"""Channel pruning for Keras 3: from a trained model to a smaller one."""

from tfprune import budgets
from tfprune import criteria
from tfprune import data
from tfprune import layers
from tfprune import losses
from tfprune import methods
from tfprune import models
from tfprune import pretraining
from tfprune import rankings
from tfprune import schedules
from tfprune import serving
from tfprune import training
from tfprune.budgets import Budget
from tfprune.budgets import select
from tfprune.compaction import compact
from tfprune.costs import Cost
from tfprune.costs import cost
from tfprune.exporting import ExportError
from tfprune.exporting import export
from tfprune.graph import ChannelGraph
from tfprune.masking import get_mask
from tfprune.masking import mask_model
from tfprune.masking import set_mask
from tfprune.pruning import prune
from tfprune.rules import Rule
from tfprune.rules import register_rule
from tfprune.scoring import score
from tfprune.tracing import explain
from tfprune.tracing import trace
from tfprune.verification import VerificationError
from tfprune.verification import verify

__all__ = [
    "Budget",
    "ChannelGraph",
    "Cost",
    "ExportError",
    "Rule",
    "VerificationError",
    "budgets",
    "compact",
    "cost",
    "criteria",
    "data",
    "explain",
    "export",
    "get_mask",
    "layers",
    "losses",
    "mask_model",
    "methods",
    "models",
    "pretraining",
    "prune",
    "rankings",
    "register_rule",
    "schedules",
    "score",
    "select",
    "serving",
    "set_mask",
    "trace",
    "training",
    "verify",
]
