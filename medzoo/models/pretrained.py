"""Backbones of `keras.applications`: weights, taps and frozen blocks."""

import re
import warnings
from pathlib import Path

import keras
from keras import KerasTensor, Model, layers, ops

from medzoo.models.backbones import BACKBONES, require_weights

# Mean and deviation of ImageNet's red, green and blue, 0 to 1.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
# Mean of its blue, green and red, 0 to 255, as Caffe had it.
BGR_MEAN = (103.939, 116.779, 123.68)


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
    entry = BACKBONES[backbone]
    height, width = (resize or max(s, entry.minimum) for s in input_shape[:2])
    network = getattr(keras.applications, entry.application)(
        include_top=False,
        weights=None,
        input_shape=(height, width, 3),
        pooling="avg",
        **entry.options,
    )
    path = require_weights(backbone, weights)
    if path is not None:
        _load(network, path, backbone)
    pooled = _pool(network, _find_taps(network, taps, backbone), pool)
    features = Model(network.input, pooled, name="network")
    inputs = x = keras.Input(input_shape, name="pixels")
    if (height, width) != tuple(input_shape[:2]):
        x = layers.Resizing(
            height, width, interpolation="bicubic", name="resize"
        )(x)
    if input_shape[-1] == 1:
        x = layers.Concatenate(name="grey_to_rgb")([x, x, x])
    x = features(scale_pixels(x, entry.pixels))
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
    found = network.get_layer("network").layers
    if freeze == "bn":
        for layer in found:
            if isinstance(layer, layers.BatchNormalization):
                layer.trainable = False
    if not freeze.isdecimal():
        return
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


def _load(network: Model, path: Path, backbone: str) -> None:
    try:
        # Of some files Keras takes what fits, and only warns of the rest.
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            network.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise ValueError(
            f"{path} does not hold the weights of backbone `{backbone}`. "
            f"Expected those of {BACKBONES[backbone].application} without its "
            "classifier, as Keras saves them. "
            f"Received: {str(error).splitlines()[0]}"
        ) from error


def _find_taps(network: Model, taps: str, backbone: str) -> list[KerasTensor]:
    """Returns what the named layers give, before it is pooled."""
    if taps in ("last", "three"):
        return _ends(network)[-3 if taps == "three" else -1 :]
    known = [layer.name for layer in network.layers]
    for name in taps.split(","):
        if name not in known:
            raise ValueError(
                f"Backbone `{backbone}` has no layer `{name}`. Expected `taps` "
                f"of last, three, or names of layers, such as {known[-3]}. "
                f"Received: taps={taps!r}."
            )
    return [network.get_layer(name).output for name in taps.split(",")]


def _pool(
    network: Model, maps: list[KerasTensor], pool: str
) -> list[KerasTensor]:
    """Returns the averages over positions, and the deviations if asked for."""
    end = _ends(network)[-1]
    # The output of the network itself may end in a normalisation.
    pooled = [network.output if x is end else _average(x) for x in maps]
    if pool == "mean_std":
        pooled += [_deviation(x) for x in maps if len(x.shape) == 4]
    return pooled


def _ends(network: Model) -> list[KerasTensor]:
    """Returns the last output of each resolution, but for padded ones."""
    maps = [
        operation.output
        for operation in network.operations
        if not isinstance(operation, (layers.ZeroPadding2D, keras.Model))
        and len(operation.output.shape) == 4
    ]
    # Squeeze-and-excitation blocks have maps of one pixel on the way.
    least = maps[-1].shape[1]
    ends = {x.shape[1]: x for x in maps if x.shape[1] >= least}
    return [ends[height] for height in sorted(ends, reverse=True)]


def _average(x: KerasTensor) -> KerasTensor:
    return layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x


def _deviation(x: KerasTensor) -> KerasTensor:
    # A channel that is 0 everywhere has a gradient too.
    return ops.sqrt(ops.var(x, axis=(1, 2)) + 1e-6)


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
