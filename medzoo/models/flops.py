"""What a network computes for an image, counted from its layers."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

# Operations of Keras, besides layers, that multiply by a matrix.
_PRODUCTS = {
    "Conv",
    "ConvTranspose",
    "DepthwiseConv",
    "Dot",
    "DotProductAttention",
    "Einsum",
    "Inner",
    "Matmul",
    "Outer",
    "SeparableConv",
    "Tensordot",
    "Vdot",
}
_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def count_flops(model: "keras.Model") -> int | None:
    """Counts the floating-point operations of one image, forward.

    A kernel of `k` weights that acts at `n` places takes `k n` multiplications
    and as many additions, `2 k n` operations. Convolutions and dense layers are
    counted; normalisation, activations and pooling are left out, as is usual. A
    step of training takes about three times as many: those of the gradients of
    inputs and of weights are like the forward ones. A layer that is called
    several times counts as often.

    Args:
        model: Functional or Sequential, for images of one size.

    Returns:
        The operations, 0 or more; `None` where a layer has matrices whose use
        is not known, such as attention or a layer of one's own, since a sum
        without them would be too low.

    Example:

    >>> from medzoo.models.registry import build_model
    >>> net = build_model("mlp", 2, input_shape=(28, 28, 1), width=8)
    >>> count_flops(net) == 2 * (784 * 8 + 8 * 4 + 4 * 2 + 2 * 2)
    True
    """
    from medzoo.models.layers import list_calls

    total: int | None = 0
    for call in list_calls(model):
        total = add_flops(total, _count(call))
    return total


def add_flops(first: int | None, second: int | None) -> int | None:
    """Adds operations, of which an unknown number makes the sum unknown."""
    return None if first is None or second is None else first + second


def _count(call: Any) -> int | None:
    """Counts the operations of one call of a layer or operation."""
    from keras import layers

    from medzoo.models.layers import is_graph

    called = call.operation
    if not isinstance(called, layers.Layer):
        return None if type(called).__name__ in _PRODUCTS else 0
    if is_graph(called):
        return count_flops(called)
    if not _is_known(called):
        return None if _has_matrices(called) else 0
    if isinstance(called, layers.EinsumDense):
        return _count_einsum(called, call.input_tensors[0])
    transposed = "Transpose" in type(called).__name__
    tensors = call.input_tensors if transposed else call.output_tensors
    return _count_kernels(called, tensors[0].shape)


def _is_known(layer: Any) -> bool:
    """Says whether a layer has its kernels, and no other matrix, from Keras."""
    from keras import layers

    kinds = (
        layers.Dense,
        layers.EinsumDense,
        layers.Conv1D,
        layers.Conv2D,
        layers.Conv3D,
        layers.Conv1DTranspose,
        layers.Conv2DTranspose,
        layers.Conv3DTranspose,
        layers.DepthwiseConv1D,
        layers.DepthwiseConv2D,
        layers.SeparableConv1D,
        layers.SeparableConv2D,
    )
    own = {id(getattr(layer, name, None)) for name in (*_KERNELS, "bias")}
    return isinstance(layer, kinds) and all(
        id(weight) in own for weight in layer.weights if len(weight.shape) > 1
    )


def _has_matrices(layer: Any) -> bool:
    """Says whether a layer has weights that it may multiply by as a matrix."""
    from keras import layers

    from medzoo.models.multi_head import FeatureWise

    # They add, scale or look up, and classes made of them may do more.
    harmless = (
        layers.BatchNormalization,
        layers.Embedding,
        layers.GroupNormalization,
        layers.LayerNormalization,
        layers.Normalization,
        layers.PReLU,
        layers.RMSNormalization,
        FeatureWise,
    )
    products = (layers.Attention, layers.Dot)
    return isinstance(layer, products) or (
        type(layer) not in harmless
        and any(len(weight.shape) > 1 for weight in layer.weights)
    )


def _count_kernels(layer: Any, shape: tuple[int | None, ...]) -> int | None:
    """Counts kernels of which each acts at every place of a shape."""
    first = getattr(layer, "data_format", "") == "channels_first"
    places = shape[2:] if first else shape[1:-1]
    if None in places:
        return None
    found = [getattr(layer, name, None) for name in _KERNELS]
    weights = sum(math.prod(k.shape) for k in found if k is not None)
    return 2 * weights * math.prod(p or 0 for p in places)


def _count_einsum(layer: Any, taken: Any) -> int | None:
    """Counts a product whose sum goes over all letters of its equation."""
    left, _, right = layer.equation.partition("->")[0].partition(",")
    sides = dict(zip(right, layer.kernel.shape, strict=False))
    sides |= dict(zip(left[1:], taken.shape[1:], strict=False))
    if "." in left or None in sides.values():
        return None
    return 2 * math.prod(sides.values())
