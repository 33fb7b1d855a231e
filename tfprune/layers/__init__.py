"""What runs inside a masked or gated model."""

from tfprune.layers.channel_mask import ChannelMask
from tfprune.layers.head_mask import HeadMask
