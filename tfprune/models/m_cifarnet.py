"""The CIFAR-10 network of Mayo (Zhao et al., 2018; Gao et al., 2019)."""

import keras
from keras import layers

from tfprune.models import weights as weights_lib

_DROPOUT = 0.5
# Filters, stride, padding and what is dropped before, of each convolution.
_CONVOLUTIONS = (
    (64, 1, "valid", 0),
    (64, 1, "same", 0),
    (128, 2, "same", 0),
    (128, 1, "same", 0),
    (128, 1, "same", _DROPOUT),
    (192, 2, "same", 0),
    (192, 1, "same", 0),
    (192, 1, "same", _DROPOUT),
)


def m_cifarnet(
    input_shape=(32, 32, 3), classes=10, momentum=0.9997, weights=None
):
    """Returns eight 3x3 convolutions, batch normalised, and dense logits.

    The network of the experiments on feature boosting and suppression
    (arXiv:1810.05331, section 5.1): 1,293,898 weights without those of batch
    normalisation, 174,301,824 multiply-accumulates. At stride 2 it pads as
    Keras does. Half of what enters the fifth and the last convolution is
    dropped in training.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of logits. Defaults to 10.
        momentum: That of the moving statistics. Defaults to 0.9997, which
            takes tens of thousands of steps.
        weights: A file that `weights.load` reads. Defaults to `None`, random.
    """
    inputs = x = keras.Input(input_shape, name="images")
    for number, (filters, strides, padding, rate) in enumerate(_CONVOLUTIONS):
        name = f"conv{number}"
        if rate:
            x = layers.Dropout(rate, name=f"{name}_dropout")(x)
        x = layers.Conv2D(
            filters,
            3,
            strides,
            padding,
            use_bias=False,
            kernel_initializer="he_normal",
            name=name,
        )(x)
        norm = layers.BatchNormalization(momentum=momentum, name=f"{name}_bn")
        x = layers.ReLU(name=f"{name}_relu")(norm(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(classes, name="logits")(x)
    return weights_lib.load(keras.Model(inputs, x, name="m_cifarnet"), weights)
