"""Kinds of node that random architectures are made of, in `base.KINDS`."""

from tests.kinds import base
from tests.kinds import blocks
from tests.kinds import merging
from tests.kinds import pointwise
from tests.kinds import reshaping
from tests.kinds import writers
