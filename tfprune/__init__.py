"""Channel pruning for Keras 3: from a trained model to a smaller one."""

from tfprune import criteria
from tfprune import data
from tfprune import layers
from tfprune import methods
from tfprune import models
from tfprune import schedules
from tfprune.budgets import Budget
from tfprune.budgets import select
from tfprune.compaction import VerificationError
from tfprune.compaction import compact
from tfprune.compaction import verify
from tfprune.costs import Cost
from tfprune.costs import cost
from tfprune.exporting import export
from tfprune.graph import ChannelGraph
from tfprune.graph import explain
from tfprune.graph import trace
from tfprune.masking import get_mask
from tfprune.masking import mask_model
from tfprune.masking import set_mask
from tfprune.pruning import prune
from tfprune.rules import Rule
from tfprune.rules import register_rule
from tfprune.scoring import score
