"""Networks of the papers: Functional Keras models that return logits."""

from tfprune.models.alexnet import alexnet
from tfprune.models.cifarnet import cifarnet
from tfprune.models.lenet import cifar_lenet5
from tfprune.models.lenet import lenet3
from tfprune.models.lenet import lenet5
from tfprune.models.m_cifarnet import m_cifarnet
from tfprune.models.nin import nin
from tfprune.models.preact_resnet import preact_resnet18
from tfprune.models.preact_resnet import preact_resnet50
from tfprune.models.preact_resnet import preact_resnet152
from tfprune.models.resnet import resnet20
from tfprune.models.resnet import resnet32
from tfprune.models.resnet import resnet34
from tfprune.models.resnet import resnet56
from tfprune.models.vgg import vgg11
from tfprune.models.vgg import vgg16

__all__ = [
    "alexnet",
    "cifar_lenet5",
    "cifarnet",
    "lenet3",
    "lenet5",
    "m_cifarnet",
    "nin",
    "preact_resnet18",
    "preact_resnet152",
    "preact_resnet50",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet56",
    "vgg11",
    "vgg16",
]
