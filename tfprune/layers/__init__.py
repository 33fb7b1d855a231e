"""What runs inside a masked or gated model."""

from tfprune.layers.channel_mask import ChannelMask
from tfprune.layers.fbs_gate import FBSGate
from tfprune.layers.gate_regularizer import GateRegularizer
from tfprune.layers.head_mask import HeadMask
from tfprune.layers.moving_threshold import MovingThreshold
from tfprune.layers.naive_gate import NaiveGate
from tfprune.layers.offset_predictor import OffsetPredictor
from tfprune.layers.predictor import Predictor
from tfprune.layers.released_fbs_gate import ReleasedFBSGate
from tfprune.layers.row_predictor import RowPredictor
from tfprune.layers.squeeze_gate import SqueezeGate
from tfprune.layers.winners import Winners
