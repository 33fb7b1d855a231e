"""Rule of the attention whose heads can be pruned."""

from keras import layers
import numpy as np

from tfprune.rules import base
from tfprune.rules import writers


class MultiHeadAttention(base.Rule):
    """`MultiHeadAttention`: its heads, and the channels that it writes.

    A head goes with its columns of all projections. It is masked where its
    values are projected: what it adds to the output is linear in them.
    """

    kernels = (
        "output_dense.kernel",
        "query_dense.kernel",
        "key_dense.kernel",
        "value_dense.kernel",
    )
    inner = "value_dense"
    counted = False  # Products of queries with keys, of scores with values.

    def of(self, layer):
        config = layer.get_config()
        several = len(config["output_shape"] or ()) > 1
        return None if several or config.get("use_gate") else self

    def outputs(self, node):
        heads, written = self._issued(node)
        read = [node.inputs[index] for index in _projected(node).values()]
        for units in node.inputs:
            if not any(units is each for each in read):  # Such as a mask.
                node.freeze(units, base.SHAPE)
        outputs = [node.along(written)]
        for _ in node.output_shapes[1:]:  # The scores, [heads, ..., ...].
            node.freeze(heads, base.SHAPE)
            outputs.append(heads[:, None, None])
        return outputs

    def inside(self, node):
        heads, _ = self._issued(node)
        rank = len(node.input_shapes[_projected(node)["value"]])
        return heads.reshape(*(1,) * (rank - 1), -1, 1)

    def axes(self, node):
        heads, written = self._issued(node)
        axes = {
            "output_dense.kernel": (heads, None, written),
            "output_dense.bias": (written,),
        }
        for name, index in _projected(node).items():
            read = node.channels(index=index)
            axes[f"{name}_dense.kernel"] = (read, heads, None)
            axes[f"{name}_dense.bias"] = (heads, None)
        return axes

    def config(self, node, kept):
        # Without an `output_shape` it is as wide as the query.
        return {
            "num_heads": kept(node.inside),
            "output_shape": (kept(node.outputs[0]),),
        }

    def products(self, node):
        products = {
            f"{name}_dense.kernel": writers.places(node.input_shapes[index], -1)
            for name, index in _projected(node).items()
        }
        return products | {
            "output_dense.kernel": products["query_dense.kernel"]
        }

    def _issued(self, node):
        """Returns the units of the heads, and those of the output channels."""
        heads = node.layer.num_heads
        units = node.new(heads + node.output_shapes[0][-1])
        return np.split(units, [heads])


def _projected(node):
    """Returns which inputs are projected, {name: index}."""
    found = {name: node.index(name) for name in ("query", "value", "key")}
    if found["key"] is None:
        found["key"] = found["value"]
    return found


base.register_rule(layers.MultiHeadAttention, MultiHeadAttention())
