"""Networks of the papers: Functional Keras models that return logits."""

from tfprune.models.lenet import lenet5
from tfprune.models.resnet import resnet20
from tfprune.models.resnet import resnet32
from tfprune.models.resnet import resnet56
from tfprune.models.vgg import vgg16

__all__ = ["lenet5", "resnet20", "resnet32", "resnet56", "vgg16"]
