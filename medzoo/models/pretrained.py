"""Backbones of `keras.applications`: weights, taps and frozen blocks."""

import re
import warnings
from pathlib import Path

import keras
from keras import KerasTensor, Model, layers, ops

from medzoo.models.backbones import get_backbone, require_weights
from medzoo.models.layers import list_normalisations, output_of
from medzoo.models.own_backbones import build_addressed

# Mean and deviation of ImageNet's red, green and blue, 0 to 1.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
# Mean of its blue, green and red, 0 to 255, as Caffe had it.
BGR_MEAN = (103.939, 116.779, 123.68)
_NO_MAPS = (layers.InputLayer, layers.ZeroPadding2D)


def build_backbone(
    input_shape: tuple[int, ...],
    *,
    backbone: str,
    weights: str,
    taps: str,
    resize: int,
    pool: str = "mean",
) -> Model:
    """Builds a network from images in [-1, 1] to features.

    The arguments are those of `transfer.build`.

    Returns:
        A model to features `(batch, num_features)`.

    Raises:
        ValueError: If the backbone has no such layers, or the weights belong
            to another architecture.
        FileNotFoundError: If the weights are not there.
    """
    entry = get_backbone(backbone)
    height, width = (resize or max(s, entry.minimum) for s in input_shape[:2])
    path = require_weights(backbone, weights)
    if not entry.application:
        shape = (height, width, 3)
        network = (
            entry.build(shape)
            if entry.build
            else build_addressed(backbone, shape, weights=weights)
        )
        if isinstance(network, keras.Sequential):
            network = Model(network.inputs[0], network.outputs[0])
        height, width = (
            side or asked
            for side, asked in zip(
                network.input_shape[1:3], (height, width), strict=True
            )
        )
    else:
        network = getattr(keras.applications, entry.application)(
            include_top=False,
            weights=None,
            input_shape=(height, width, 3),
            pooling="avg",
            **entry.options,
        )
        if path is not None:
            _load(network, path, backbone)
    pooled = _pool(network, _find_taps(network, taps, backbone), pool)
    features = Model(network.input, pooled, name="network")
    inputs = x = keras.Input(input_shape, name="pixels")
    if (height, width) != tuple(input_shape[:2]):
        x = layers.Resizing(
            height, width, interpolation="bicubic", name="resize"
        )(x)
    if input_shape[-1] == 1 and network.input_shape[-1] == 3:
        x = layers.Concatenate(name="grey_to_rgb")([x, x, x])
    elif input_shape[-1] == 3 and network.input_shape[-1] == 1:
        x = ops.mean(x, axis=-1, keepdims=True)
    x = scale_pixels(x, entry.pixels)
    if network.input.dtype == "uint8":
        # A cast would cut what is a little below a whole number.
        x = ops.cast(ops.clip(ops.round(x), 0, 255), "uint8")
    x = features(x)
    if isinstance(x, list):
        x = layers.Concatenate(name="features")(x)
    return Model(inputs, x, name="backbone")


def freeze_backbone(network: Model, freeze: str, block: str) -> None:
    """Freezes what `freeze` names of a backbone made by `build_backbone`.

    Raises:
        ValueError: If it asks for more blocks than there are.
    """
    if freeze == "all":
        network.trainable = False
    inner = network.get_layer("network")
    if freeze == "bn":
        for layer in list_normalisations(inner):
            layer.trainable = False
    if not freeze.isdecimal():
        return
    found = _list_blocks(inner)
    blocks = [re.search(block, layer.name) for layer in found]
    names = list(dict.fromkeys(match[1] for match in blocks if match))
    if int(freeze) >= len(names):
        raise ValueError(
            f"The backbone has {len(names)} blocks. Expected `freeze` of 1 to "
            f"{len(names) - 1}, or all. Received: freeze={freeze!r}."
        )
    for layer, match in zip(found, blocks, strict=True):
        if match and match[1] == names[int(freeze)]:
            return
        layer.trainable = False


def _list_blocks(network: Model) -> list[layers.Layer]:
    """Lists the layers of a network, or of the only one that it has inside.

    Scaling before a network and pooling behind it are no blocks of it.
    """
    weighted = [layer for layer in network.layers if layer.weights]
    if len(weighted) == 1 and isinstance(weighted[0], Model):
        return _list_blocks(weighted[0])
    return network.layers


def _load(network: Model, path: Path, backbone: str) -> None:
    try:
        # Of some files Keras takes what fits, and only warns of the rest.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            network.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        application = get_backbone(backbone).application
        raise ValueError(
            f"{path} does not hold the weights of backbone `{backbone}`. "
            f"Expected those of {application} without its classifier, as Keras "
            f"saves them. Received: {str(error).splitlines()[0]}"
        ) from error


def _find_taps(network: Model, taps: str, backbone: str) -> list[KerasTensor]:
    """Returns what the named layers give, before it is pooled."""
    if taps in ("last", "three"):
        ends = _ends(network)
        is_tokens = len(network.output.shape) == 3
        if not ends or is_tokens or _ends_inside(network):
            return [network.output]
        return ends[-3 if taps == "three" else -1 :]
    known = [layer.name for layer in network.layers]
    for name in taps.split(","):
        if name not in known:
            raise ValueError(
                f"Backbone `{backbone}` has no layer `{name}`. Expected `taps` "
                f"of last, three, or names of layers, such as {known[-3:][0]}. "
                f"Received: taps={taps!r}."
            )
    return [
        output_of(network, network.get_layer(name)) for name in taps.split(",")
    ]


def _pool(
    network: Model, maps: list[KerasTensor], pool: str
) -> list[KerasTensor]:
    """Returns the averages over positions, and the deviations if asked for."""
    ends = _ends(network)
    # The output of the network itself may end in a normalisation.
    last = network.output if len(network.output.shape) == 2 else None
    pooled = [
        last
        if last is not None and ends and x is ends[-1]
        else _average(x, pool)
        for x in maps
    ]
    if pool == "mean_std":
        pooled += [_deviation(x) for x in maps if len(x.shape) > 2]
    return pooled


def _ends_inside(network: Model) -> bool:
    """Says whether the last of a network is a network of its own."""
    return any(
        isinstance(operation, Model)
        and output_of(network, operation) is network.output
        for operation in network.operations
    )


def _ends(network: Model) -> list[KerasTensor]:
    """Returns the last output of each resolution, but for padded ones."""
    found = [
        output_of(network, operation)
        for operation in network.operations
        if not isinstance(operation, _NO_MAPS)
    ]
    maps = [
        x
        for x in found
        if isinstance(x, KerasTensor)
        and len(x.shape) == 4
        and None not in x.shape[1:]
    ]
    if not maps:
        return []
    # Squeeze-and-excitation blocks have maps of one pixel on the way.
    least = maps[-1].shape[1]
    ends = {x.shape[1]: x for x in maps if x.shape[1] >= least}
    return [ends[height] for height in sorted(ends, reverse=True)]


def _average(x: KerasTensor, pool: str) -> KerasTensor:
    """Averages over positions, or takes what `pool` says of tokens."""
    if len(x.shape) == 4:
        return layers.GlobalAveragePooling2D()(x)
    if len(x.shape) != 3:
        return x
    first, mean = x[:, 0], ops.mean(x, axis=1)
    if pool == "class":
        return first
    return ops.concatenate([first, mean], -1) if pool == "class_mean" else mean


def _deviation(x: KerasTensor) -> KerasTensor:
    # A channel that is 0 everywhere has a gradient too.
    axes = tuple(range(1, len(x.shape) - 1))
    return ops.sqrt(ops.var(x, axis=axes) + 1e-6)


def scale_pixels(x: KerasTensor, pixels: str) -> KerasTensor:
    """Maps values in [-1, 1] to those that a backbone was trained on."""
    if pixels == "symmetric":
        return x
    if pixels == "normalised":
        return layers.Rescaling(
            [0.5 / d for d in DEVIATION],
            offset=[
                (0.5 - m) / d for m, d in zip(MEAN, DEVIATION, strict=True)
            ],
            name="to_normalised",
        )(x)
    x = layers.Rescaling(127.5, offset=127.5, name="to_bytes")(x)
    if pixels == "bgr":
        x = ops.flip(x, axis=-1)
        offset = [-mean for mean in BGR_MEAN]
        x = layers.Rescaling(1.0, offset=offset, name="to_bgr")(x)
    return x
