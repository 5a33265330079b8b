"""Layers that the models share."""

import math
from collections.abc import Iterator
from typing import Any

import keras
from keras import Input, KerasTensor, Model, Operation, layers, ops

from medzoo.models.augmentation import Augmentation


def images_input(
    input_shape: tuple[int, ...], augmentation: str
) -> tuple[KerasTensor, KerasTensor]:
    """Opens a model: raw `uint8` images in, augmented values in [-1, 1] out.

    Returns:
        The input and what the stem works on.
    """
    check_shape(input_shape)
    inputs = Input(input_shape, dtype="uint8", name="images")
    # A policy of mixed precision is for what is learnt: places of pixels need
    # more than the 8 bits of bfloat16.
    x = layers.Rescaling(
        1 / 127.5, offset=-1.0, dtype="float32", name="rescale"
    )(inputs)
    if augmentation != "none":
        x = Augmentation(augmentation, dtype="float32", name="augmentation")(x)
    return inputs, x


def check_shape(input_shape: tuple[int, ...]) -> None:
    """Checks the shape of images.

    Raises:
        ValueError: If it is not `(height, width, 1 or 3)`.
    """
    height, width, channels = input_shape
    if min(height, width) < 1 or channels not in (1, 3):
        raise ValueError(
            "`input_shape` must be (height, width, channels) with 1 or 3 "
            f"channels. Received: input_shape={input_shape}."
        )


def logits_head(
    x: KerasTensor,
    num_classes: int,
    *,
    dropout: float = 0.0,
    prefix: str = "",
) -> KerasTensor:
    """Closes a model: features in, `float32` logits out."""
    if dropout:
        x = layers.Dropout(dropout, name=f"{prefix}dropout")(x)
    return layers.Dense(num_classes, dtype="float32", name=f"{prefix}logits")(x)


@keras.saving.register_keras_serializable(package="medzoo")
class MeanLogits(layers.Layer):
    """Averages the logits of members, but not in training.

    Members are networks that are trained side by side, or views of an image; in
    training each has a loss of its own (`medzoo.losses`), so it gives all
    of them then, shape `(batch, members, num_classes)`. Networks that only
    their first weights tell apart err differently ([Lakshminarayanan et al.,
    2017](https://arxiv.org/abs/1612.01474)).
    """

    def call(self, logits: Any, training: bool = False) -> Any:
        return logits if training else ops.mean(logits, axis=1)


def residual_block(
    x: KerasTensor,
    width: int,
    *,
    stride: int,
    activation: str,
    name: str,
    block_type: str = "plain",
    squeeze_excite: bool = False,
) -> KerasTensor:
    """Joins convolutions with a skip (He et al. 2016, variant v1).

    The skip is the identity where shapes agree, else a 1x1 convolution after
    average pooling, which loses no position (He et al. 2019, ResNet-D).

    Args:
        x: Maps of shape `(batch, height, width, channels)`.
        width: Channels of the result.
        stride: By how much the maps shrink.
        activation: Of the hidden layers and of the result.
        name: Begins the name of every layer.
        block_type: `plain`, two 3x3 convolutions; `separable`, each of them a
            depthwise one and a 1x1 (Howard et al. 2017); `bottleneck`, a 3x3 on
            half of the channels between two 1x1 (He et al. 2016).
        squeeze_excite: Whether the result of the convolutions is scaled by
            channel, as `excite` does.
    """
    skip = x
    if stride > 1:
        skip = layers.AveragePooling2D(
            stride, padding="same", name=f"{name}_skip_pool"
        )(skip)
    if skip.shape[-1] != width:
        skip = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_skip")(
            skip
        )
    steps = _list_steps(width, stride, block_type)
    for part, (channels, side, step) in steps.items():
        if block_type == "separable":
            x = layers.DepthwiseConv2D(
                side,
                strides=step,
                padding="same",
                use_bias=False,
                depthwise_initializer="he_normal",
                name=f"{name}_depthwise_{part}",
            )(x)
            side = step = 1
        x = layers.Conv2D(
            channels,
            side,
            strides=step,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{name}_conv_{part}",
        )(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm_{part}")(
            x
        )
        if part == max(steps):
            if squeeze_excite:
                x = excite(x, name=name)
            x = layers.Add(name=f"{name}_join")([x, skip])
        x = layers.Activation(activation, name=f"{name}_act_{part}")(x)
    return x


def excite(x: KerasTensor, *, name: str) -> KerasTensor:
    """Scales each channel by what all channels are on average (SE-ResNet).

    Args:
        x: Maps of shape `(batch, height, width, channels)`.
        name: Begins the name of every layer.

    Reference:

    - [Hu et al., 2018](https://arxiv.org/abs/1709.01507).
    """
    channels = x.shape[-1]
    scale = layers.GlobalAveragePooling2D(
        keepdims=True, name=f"{name}_squeeze"
    )(x)
    # Not `Dense`, which TensorFlow Lite cannot run in integers on maps.
    hidden = math.ceil(channels / 4)
    scale = layers.Conv2D(hidden, 1, activation="relu", name=f"{name}_reduce")(
        scale
    )
    scale = layers.Conv2D(
        channels, 1, activation="sigmoid", name=f"{name}_excite"
    )(scale)
    return layers.Multiply(name=f"{name}_scale")([x, scale])


def _list_steps(
    width: int, stride: int, block_type: str
) -> dict[str, tuple[int, int, int]]:
    """Returns channels, kernel and stride of the convolutions of a block."""
    if block_type == "bottleneck":
        half = max(1, width // 2)
        return {"a": (half, 1, 1), "b": (half, 3, stride), "c": (width, 1, 1)}
    return {"a": (width, 3, stride), "b": (width, 3, 1)}


def list_normalisations(model: Model) -> Iterator[layers.BatchNormalization]:
    """Yields the layers of batch normalisation, wherever they are.

    Those of inner models and inside of other layers are among them.
    """
    for layer in _list_inner(model):
        if isinstance(layer, layers.BatchNormalization):
            yield layer
        else:
            yield from list_normalisations(layer)


def _list_inner(layer: Any) -> list[Any]:
    """Lists the layers of which a model or layer is made."""
    if isinstance(layer, Model):
        return layer.layers
    return layer._flatten_layers(include_self=False, recursive=False)


def output_of(network: Model, operation: Operation) -> Any:
    """Returns what an operation of a network gives there.

    A network inside of another has an `output` of its own, which no other
    tensor of the outer one is made of.
    """
    if not isinstance(operation, Model):
        return operation.output
    outputs = _last_call(network, operation).output_tensors
    return outputs[0] if len(outputs) == 1 else outputs


def input_of(network: Model, operation: Operation) -> Any:
    """Returns what an operation of a network takes there, as `output_of`."""
    if not isinstance(operation, Model):
        return operation.input
    inputs = _last_call(network, operation).input_tensors
    return inputs[0] if len(inputs) == 1 else inputs


def is_graph(layer: Any) -> bool:
    """Says whether a layer is a network whose operations are known."""
    return hasattr(_graph_of(layer), "_nodes_by_depth")


def list_calls(network: Model) -> list[Any]:
    """Lists the calls of operations in a network, as nodes of Keras."""
    groups = _graph_of(network)._nodes_by_depth.values()
    return [node for nodes in groups for node in nodes]


def _graph_of(network: Any) -> Any:
    """Returns the network itself, or what a Sequential one is made of."""
    return getattr(network, "_functional", None) or network


def _last_call(network: Model, operation: Operation) -> Any:
    calls = [c for c in list_calls(network) if c.operation is operation]
    return max(calls, key=operation._inbound_nodes.index)
