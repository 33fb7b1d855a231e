"""Losses with one value per example: cross-entropy and distillation."""

import keras
import tensorflow as tf


class CrossEntropy:
    """Softmax cross-entropy of logits, with label smoothing.

    Smoothing mixes the label with the uniform distribution over the classes
    (Szegedy et al., 2016, arXiv:1512.00567, section 7).

    Args:
        label_smoothing: Weight of the uniform distribution, in `[0, 1)`.
            Defaults to `0.0`.
    """

    def __init__(self, label_smoothing=0.0):
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` must be in [0, 1). "
                f"Received: label_smoothing={label_smoothing}."
            )
        self.label_smoothing = label_smoothing

    def __call__(self, labels, logits):
        """Returns the loss of each example, [batch].

        Args:
            labels: Class numbers, [batch] or [batch, 1], or distributions
                over the classes, [batch, classes].
            logits: [batch, classes].
        """
        if are_distributions(labels, logits):
            cross_entropy = keras.losses.categorical_crossentropy
        else:
            cross_entropy = keras.losses.sparse_categorical_crossentropy
        losses = cross_entropy(labels, logits, from_logits=True)
        if not self.label_smoothing:
            return losses
        # The loss is linear in the label, so mixing losses mixes labels. It
        # keeps class numbers as they are, and TensorFlow refuses wrong ones.
        uniform = keras.losses.categorical_crossentropy(
            tf.ones_like(logits) / logits.shape[-1], logits, from_logits=True
        )
        return losses + self.label_smoothing * (uniform - losses)


class Distillation:
    """Training towards the outputs of a teacher (Hinton et al., 2015).

    The loss of an example becomes

        (1 - weight) * loss + weight * T**2 * KL(teacher || student)

    where both distributions are the softmax of logits divided by the
    temperature `T` (arXiv:1503.02531, section 2; `T**2` keeps the size of the
    gradient as `T` changes).

    Args:
        weight: Share of the teacher, in `[0, 1]`. Defaults to `0.5`.
        temperature: `T`, above 0. Defaults to `4.0`.
    """

    def __init__(self, weight=0.5, temperature=4.0):
        if not 0 <= weight <= 1:
            raise ValueError(
                f"`weight` must be in [0, 1]. Received: weight={weight}."
            )
        if not temperature > 0:
            raise ValueError(
                "`temperature` must be above 0. "
                f"Received: temperature={temperature}."
            )
        self.weight = weight
        self.temperature = temperature

    def __call__(self, losses, logits, teacher_logits):
        """Returns the mixed loss of each example, float32 [batch].

        Args:
            losses: [batch].
            logits: Of the student, [batch, classes].
            teacher_logits: [batch, classes].
        """
        losses, logits, teacher_logits = (
            tf.cast(x, tf.float32) for x in (losses, logits, teacher_logits)
        )
        teacher = tf.nn.log_softmax(teacher_logits / self.temperature)
        student = tf.nn.log_softmax(logits / self.temperature)
        divergence = tf.reduce_sum(tf.exp(teacher) * (teacher - student), -1)
        taught = self.temperature**2 * divergence
        return (1 - self.weight) * losses + self.weight * taught


def are_distributions(labels, outputs):
    """Whether labels are one-hot or soft, [batch, classes], as the outputs."""
    return len(labels.shape) == 2 and labels.shape[1] == outputs.shape[1]


def may_be_classes(labels, outputs):
    """Whether the shapes are those of classes and of a score for each.

    That is so for one tensor of outputs, [batch, classes], 2 classes or more,
    and class numbers, [batch] or [batch, 1], or one-hot labels.
    """
    return (
        tf.is_tensor(outputs)
        and tf.is_tensor(labels)
        and len(outputs.shape) == 2
        and outputs.shape[1] > 1
        and (
            labels.shape[1:] in ([], [1]) or are_distributions(labels, outputs)
        )
    )


def classes(labels, outputs):
    """Returns the class of each label, and whether the label is one.

    A row is a class if it is a distribution: not negative, of sum 1. A number
    is one if it is an integer by its type, or a float that is equal to one of
    the classes. Others are targets of a regression, or of several labels.

    Args:
        labels: Labels that `may_be_classes`.
        outputs: [batch, classes].

    Returns:
        int64 [batch], outside the classes for a wrong integer; bool [batch].
    """
    if are_distributions(labels, outputs):
        shares = tf.cast(labels, tf.float32)
        apart = tf.abs(tf.reduce_sum(shares, axis=-1) - 1)
        positive = tf.reduce_all(shares >= 0, axis=-1)
        return tf.argmax(shares, axis=-1), positive & (apart <= 1e-3)
    labels = tf.reshape(labels, [-1])
    numbers = tf.cast(labels, tf.int64)
    if not labels.dtype.is_floating:
        return numbers, tf.ones_like(numbers, tf.bool)
    inside = (numbers >= 0) & (numbers < outputs.shape[1])
    return numbers, inside & (tf.cast(numbers, labels.dtype) == labels)
