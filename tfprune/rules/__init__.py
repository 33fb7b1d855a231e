"""Channel rules: how each type of layer passes units on."""

from tfprune.rules import attention
from tfprune.rules import einsum
from tfprune.rules import merging
from tfprune.rules import moving
from tfprune.rules import over_time
from tfprune.rules import recurrent
from tfprune.rules import reductions
from tfprune.rules import reshaping
from tfprune.rules import scaling
from tfprune.rules import writers
from tfprune.rules.base import Rule
from tfprune.rules.base import register_rule
from tfprune.rules.base import rule_for
from tfprune.rules.nodes import Node
