"""Saliencies of weights (Persand et al., 2021, IEEE Access 9)."""

import dataclasses
import functools

import tensorflow as tf

from tfprune import curvature
from tfprune import program
from tfprune.criteria import base
from tfprune.criteria import pointwise as pointwise_lib
from tfprune.criteria import reductions


class WeightSaliency(base.Criterion):
    """A pointwise saliency of the weights of filters, reduced to channels.

    Derivatives are those of the loss of each example, in inference mode, which
    takes a pass for each.

    Args:
        pointwise: A function of `criteria.pointwise`.
        reduction: An object of `criteria.reductions`.
        bias: Whether the bias is one more weight of a filter. Defaults to
            `False`.
        per_weight: Whether to divide by the number of weights of the filter
            that read no masked channel. Defaults to `False`.
        ties: As for `Criterion`. Defaults to `"sum"`.

    Raises:
        ValueError: If an argument is something else.
    """

    def __init__(
        self, pointwise, reduction, bias=False, per_weight=False, ties="sum"
    ):
        super().__init__(ties)
        reductions.check(pointwise, reduction)
        self.pointwise = pointwise
        self.reduction = reduction
        self.signed = reduction.signed
        self.bias = bias
        self.per_weight = per_weight

    @property
    def name(self):
        reduction = type(self.reduction).__name__
        return f"{type(self).__name__}_{self.pointwise.__name__}_{reduction}"

    def pairs(self, batch):
        units = [x for x, weights in batch.weights() if _reads(weights)]
        if not units:
            return []
        parts = tf.map_fn(
            lambda row: self._of_example(batch, _Example(batch, row)),
            tf.range(tf.shape(batch.inputs[0])[0]),
            fn_output_signature=[tf.float32] * len(units),
            parallel_iterations=1,
        )
        return list(zip(units, parts, strict=True))

    def reduce(self, contributions):
        """Returns the saliencies, [num_units]."""
        return tf.reduce_mean(self.reduction.example(contributions), axis=0)

    def _of_example(self, batch, example):
        """Returns what each layer adds for one example, each [channels]."""
        first = batch.weights(lambda: example.gradients)
        second = batch.weights(lambda: example.curvatures)
        return [
            self._of_layer(a, b)
            for (_, a), (_, b) in zip(first, second)
            if _reads(a)
        ]

    def _of_layer(self, first, second):
        points = pointwise_lib.Points(
            self._filters(first, first.kernel, first.value),
            lambda: self._filters(first, first.kernel_gradient, first.gradient),
            lambda: self._filters(
                second, second.kernel_gradient, second.gradient
            ),
        )
        parts = self.reduction.point(self.pointwise(points))
        summed = tf.reduce_sum(parts, axis=0)
        if self.per_weight:
            return tf.math.divide_no_nan(summed, first.fan_in)
        return summed

    def _filters(self, weights, kernel, read):
        """Returns the points of filters, [fan_in, channels]."""
        if not (self.bias and weights.bias):
            return kernel
        return tf.concat([kernel, read(weights.bias)[tf.newaxis]], axis=0)


class _Example:
    """Derivatives of the loss of one example to all kernels and biases."""

    def __init__(self, batch, row):
        self._batch = dataclasses.replace(
            batch,
            inputs=[x[row : row + 1] for x in batch.inputs],
            labels=tf.nest.map_structure(
                lambda x: x[row : row + 1], batch.labels
            ),
        )

    @functools.cached_property
    def gradients(self):
        """{id of a variable: first derivatives}."""
        batch = self._batch
        batch.check_differentiable()
        variables = {
            id(variable): variable
            for _, weights in batch.weights()
            for variable in weights.variables
        }
        with tf.GradientTape() as tape:
            tape.watch([variable.value for variable in variables.values()])
            values = program.infer(batch.program, batch.inputs)
            losses = batch.losses(values)
        found = tape.gradient(
            losses,
            [variable.value for variable in variables.values()],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return {
            key: tf.cast(tf.convert_to_tensor(gradient), tf.float32)
            for key, gradient in zip(variables, found)
        }

    @functools.cached_property
    def curvatures(self):
        """{id of a variable: second derivatives}."""
        batch = self._batch
        batch.check_differentiable()
        return curvature.diagonals(
            batch.program, batch.inputs, batch.labels, batch.loss_fn
        ).variables


def _reads(weights):
    return weights.kernel is not None
