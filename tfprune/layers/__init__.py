"""What runs inside a masked or gated model."""

from tfprune.layers.channel_mask import ChannelMask
