"""Rule of the dense layer that an equation describes."""

import keras
from keras import layers

from tfprune.rules import base
from tfprune.rules import writers


class EinsumDense(writers.Writer):
    """`EinsumDense`: `ab,bc->ac` and the like, `...` on the left.

    The kernel sums over some axes of the input and makes new ones. What is
    removed lies on the first of these, such as that of heads.
    """

    def of(self, layer):
        read, kernel, written = _specs(layer)
        matrix = sorted(kernel) == sorted(set(read) ^ set(written))
        batch_first = read[0] == written[0]
        left = "." not in read[1:] + written[1:]
        return self if matrix and batch_first and left else None

    def axis(self, node):
        return _place(_specs(node.layer)[2], self._made(node.layer)[0])

    def axes(self, node):
        read, kernel, _ = _specs(node.layer)
        units = node.inputs[0]
        summed = [x for x in kernel if x in read]
        varying = [x for x in summed if units.shape[_place(read, x)] > 1]
        on = {x: node.channels(_place(read, x)) for x in varying or summed[-1:]}
        on[self._made(node.layer)[0]] = node.outputs[0].ravel()
        axes = {"kernel": tuple(map(on.get, kernel))}
        if node.layer.bias is not None:
            axes["bias"] = self._bias_axes(node)
        return axes

    def config(self, node, kept):
        shape = list(node.layer.partial_output_shape)
        shape[self.axis(node)] = kept(node.outputs[0])
        return {"output_shape": tuple(shape)}

    def positions(self, node):
        written = _specs(node.layer)[2]
        shape = list(node.output_shapes[0])
        for letter in self._made(node.layer):
            shape[_place(written, letter)] = 1
        return writers.places((*shape, 1), -1)

    def filters(self, layer, kernel):
        _, letters, _ = _specs(layer)
        axis = letters.index(self._made(layer)[0])
        moved = keras.ops.moveaxis(kernel, axis, -1)
        return keras.ops.reshape(moved, (-1, moved.shape[-1]))

    def _made(self, layer):
        """Returns the letters of the axes that the kernel makes."""
        read, _, written = _specs(layer)
        return [letter for letter in written if letter not in read]

    def _bias_axes(self, node):
        units = node.outputs[0]
        rank = len(node.layer.bias.shape)  # That of the last axes.
        return tuple(
            units.ravel() if axis == self.axis(node) and length > 1 else None
            for axis, length in zip(range(-rank, 0), node.layer.bias.shape)
        )


def _specs(layer):
    """Returns the letters of input, kernel and output; `...` is a dot."""
    equation = layer.equation.replace(" ", "").replace("...", ".")
    inputs, written = equation.split("->")
    return *inputs.split(","), written


def _place(spec, letter):
    """Returns the axis of a letter, counted from the right."""
    return spec.index(letter) - len(spec)


base.register_rule(layers.EinsumDense, EinsumDense())
