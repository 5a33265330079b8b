"""What a network computes for an image, counted from its layers."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def count_flops(model: "keras.Model") -> int:
    """Counts the floating-point operations of one image, forward.

    A kernel of `k` weights that acts at `n` places takes `k n` multiplications
    and as many additions, `2 k n` operations. Convolutions and dense layers are
    counted; normalisation, activations and pooling are left out, as is usual. A
    step of training takes about three times as many: those of the gradients of
    inputs and of weights are like the forward ones. A layer that is called
    several times counts as often.

    Args:
        model: Functional, for images of one size.

    Returns:
        The operations, 0 or more.

    Example:

    >>> from medzoo.models.registry import build_model
    >>> net = build_model("mlp", 2, input_shape=(28, 28, 1), width=8)
    >>> count_flops(net) == 2 * (784 * 8 + 8 * 4 + 4 * 2 + 2 * 2)
    True
    """
    calls = {
        layer["config"]["name"]: len(layer.get("inbound_nodes", ())) or 1
        for layer in model.get_config().get("layers", ())
    }
    return sum(
        calls.get(layer.name, 1) * _count(layer) for layer in model.layers
    )


def _count(layer: Any) -> int:
    if hasattr(layer, "layers") and hasattr(layer, "output"):
        return count_flops(layer)
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    transposed = "Transpose" in type(layer).__name__
    places = (layer.input if transposed else layer.output).shape[1:-1]
    return 2 * math.prod(kernel.shape) * math.prod(places)
