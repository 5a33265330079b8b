"""Pretrained backbones and the files of their weights, without Keras."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medzoo.environment import find_folder

# `keras:FILE@LAYER` is a network that Keras saved, up to a layer;
# `hub:PRESET` one of keras-hub.
ADDRESSES = ("keras:", "hub:")
PUBLISHER = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class Backbone:
    """One network without its classifier, of `keras.applications` if not said.

    Args:
        application: Name of its function there; empty for a network that
            `build` makes.
        file: Its ImageNet weights below `PUBLISHER`.
        pixels: What it was trained on: `bytes` (0 to 255), `symmetric` (-1 to
            1), `normalised` (by the mean and deviation of ImageNet), or `bgr`
            (blue first, minus the mean).
        block: Pattern whose group names the block of a layer by its name.
        options: Further arguments of the function.
        minimum: Smallest height and width.
        build: Function of a plugin, from `(height, width, 3)` to the network.
    """

    application: str
    file: str
    pixels: str
    block: str
    options: Mapping[str, Any] = field(default_factory=dict)
    minimum: int = 32
    build: Callable[..., Any] | None = None


def _mobilenet(alpha: float, file: str) -> Backbone:
    return Backbone(
        "MobileNet",
        f"mobilenet/mobilenet_{file}_224_tf_no_top.h5",
        pixels="symmetric",
        block=r"conv_(?:pad|dw|pw)_(\d+)",
        options={"alpha": alpha},
    )


def _mobilenet_v3(size: str) -> Backbone:
    return Backbone(
        f"MobileNetV3{size.title()}",
        f"mobilenet_v3/weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5",
        pixels="bytes",
        block=r"(expanded_conv(?:_\d+)?)_",
    )


def _convnext(size: str) -> Backbone:
    return Backbone(
        f"ConvNeXt{size.title()}",
        f"convnext/convnext_{size}_notop.h5",
        pixels="bytes",
        block=r"(stage_\d_block_\d+)_",
    )


def _efficientnet_v2(size: str) -> Backbone:
    return Backbone(
        f"EfficientNetV2{size.upper()}",
        f"efficientnet_v2/efficientnetv2-{size}_notop.h5",
        pixels="bytes",
        block=r"(block\d[a-z])_",
    )


def _others(
    application: str, folder: str, *, pixels: str, block: str, minimum: int = 32
) -> Backbone:
    name = application.lower()
    ending = "weights_tf_dim_ordering_tf_kernels_notop.h5"
    file = f"{folder}/{name}_{ending}"
    return Backbone(application, file, pixels, block, minimum=minimum)


# EfficientNet's first version is not here: Keras adds a layer to it for weights
# of ImageNet alone, so that no other weights can be put in their place.
BACKBONES: dict[str, Backbone] = {
    "mobilenet_025": _mobilenet(0.25, "2_5"),
    "mobilenet_050": _mobilenet(0.5, "5_0"),
    "mobilenet": _mobilenet(1.0, "1_0"),
    "mobilenet_v2": Backbone(
        "MobileNetV2",
        "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224"
        "_no_top.h5",
        pixels="symmetric",
        block=r"(expanded_conv|block_\d+)_",
    ),
    **{f"mobilenet_v3_{s}": _mobilenet_v3(s) for s in ("small", "large")},
    **{f"convnext_{s}": _convnext(s) for s in ("tiny", "small", "base")},
    **{
        f"efficientnet_v2_{s}": _efficientnet_v2(s)
        for s in ("b0", "b1", "b2", "b3", "s", "m")
    },
    **{
        f"resnet_{n}": _others(
            f"ResNet{n}", "resnet", pixels="bgr", block=r"(conv\d_block\d+)_"
        )
        for n in (50, 101, 152)
    },
    **{
        f"resnet_v2_{n}": _others(
            f"ResNet{n}V2",
            "resnet",
            pixels="symmetric",
            block=r"(conv\d_block\d+)_",
        )
        for n in (50, 101, 152)
    },
    **{
        f"densenet_{n}": _others(
            f"DenseNet{n}",
            "densenet",
            pixels="normalised",
            block=r"(conv\d_block\d+)_",
        )
        for n in (121, 169, 201)
    },
    **{
        f"vgg_{n}": _others(
            f"VGG{n}", f"vgg{n}", pixels="bgr", block=r"(block\d)_"
        )
        for n in (16, 19)
    },
    "xception": _others(
        "Xception",
        "xception",
        pixels="symmetric",
        block=r"(block\d+)_",
        minimum=71,
    ),
}

# MD5 or SHA-256 of the files, as Keras publishes them: none of the first two
# versions of MobileNet. That of `mobilenet_025` was computed from its file.
CHECKSUMS = {
    "mobilenet_025": "dbdb03ee2a22fd895301636cd328b234"
    "bb3a9952358f436d82f46b81e0d5b0bf",
    "mobilenet_v3_small": "d3e8ec802a04aa4fc771ee12a9a9b836",
    "mobilenet_v3_large": "07fb09a5933dd0c8eaafa16978110389",
    "convnext_tiny": "d547c096cabd03329d7be5562c5e1479"
    "8aa39ed24b474157cef5e85ab9e49ef1",
    "convnext_small": "6fc8009faa2f00c1c1dfce59feea9b07"
    "45eb260a7dd11bee65c8e20843da6eab",
    "convnext_base": "40a20c5548a5e9202f69735ecc06c990"
    "e6b7c9d2de39f0361e27baeb24cb7c45",
    "efficientnet_v2_b0": "893217f2bb855e2983157299931e43ff",
    "efficientnet_v2_b1": "0e80663031ca32d657f9caa404b6ec37",
    "efficientnet_v2_b2": "1dfe2e7a5d45b6632553a8961ea609eb",
    "efficientnet_v2_b3": "f6abf7b5849ac99a89b50dd3fd532856",
    "efficientnet_v2_s": "af0682fb74e8c54910f2d4393339c070",
    "efficientnet_v2_m": "1b8dc055df72dde80d614482840fe342",
    "resnet_50": "4d473c1dd8becc155b73f8504c6f6626",
    "resnet_101": "88cf7a10940856eca736dc7b7e228a21",
    "resnet_152": "ee4c566cf9a93f14d82f913c2dc6dd0c",
    "resnet_v2_50": "fac2f116257151a9d068a22e544a4917",
    "resnet_v2_101": "c0ed64b8031c3730f411d2eb4eea35b5",
    "resnet_v2_152": "ed17cf2e0169df9d443503ef94b23b33",
    "densenet_121": "30ee3e1110167f948a6b9946edeeb738",
    "densenet_169": "b8c4d4c20dd625c148057b9ff1c1176b",
    "densenet_201": "c13680b51ded0fb44dff2d8f86ac8bb1",
    "vgg_16": "6d6bbae143d832006294945121d1f1fc",
    "vgg_19": "253f8cb515780f3b799900260a226db6",
    "xception": "b0042744bf5b25fce3cb969f33bebb97",
}


class BackboneNames(Collection[str]):
    """The names that `backbone` may have: of the table, and addresses.

    Args:
        others: Further names.
    """

    def __init__(self, *others: str) -> None:
        self._others = others

    def __contains__(self, name: object) -> bool:
        is_address = isinstance(name, str) and name.startswith(ADDRESSES)
        return is_address or name in BACKBONES or name in self._others

    def __iter__(self) -> Iterator[str]:
        return iter((*self._others, *BACKBONES))

    def __len__(self) -> int:
        return len(self._others) + len(BACKBONES)


def get_backbone(name: str) -> Backbone:
    """Returns the backbone of a name, or of an address.

    Example:

    >>> get_backbone("keras:trained/model.keras@pool").application
    ''
    """
    if name.startswith(ADDRESSES):
        return Backbone("", "", pixels="bytes", block=r"(.+)", minimum=1)
    return BACKBONES[name]


def find_file(backbone: str) -> Path | None:
    """Returns the file of a network of the user; `None` for any other.

    Example:

    >>> find_file("keras:trained/model.keras@pool").name
    'model.keras'
    """
    if not backbone.startswith("keras:"):
        return None
    return Path(backbone[6:].rpartition("@")[0] or backbone[6:]).expanduser()


def find_weights(backbone: str, weights: str) -> Path | None:
    """Returns the file of the weights of a backbone; `None` for `none`.

    `imagenet` is where Keras keeps its downloads: the folder `models` of
    `KERAS_HOME`, which is `~/.keras` if it is not set.

    Args:
        backbone: A name of `BACKBONES`.
        weights: `imagenet`, `none`, or the path of a file.

    Example:

    >>> find_weights("mobilenet_025", "imagenet").name
    'mobilenet_2_5_224_tf_no_top.h5'
    """
    if (file := find_file(backbone)) is not None:
        return file
    if weights == "none" or not get_backbone(backbone).file:
        return None
    if weights != "imagenet":
        return Path(weights).expanduser()
    home = find_folder("KERAS_HOME", "~/.keras")
    return home / "models" / Path(BACKBONES[backbone].file).name


def name_weights(options: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the backbone of a run and its weights, each may be `none`.

    Args:
        options: Of its model.
    """
    backbone = str(options.get("backbone", "none"))
    weights = "none" if backbone == "none" else options["weights"]
    return backbone, str(weights)


def require_weights(backbone: str, weights: str) -> Path | None:
    """Returns the file of the weights of a backbone, which must exist.

    Raises:
        FileNotFoundError: If it does not.
    """
    path = find_weights(backbone, weights)
    if path is None or path.is_file():
        return path
    if find_file(backbone) is not None:
        way_out = "Expected a .keras file, as in keras:trained/model.keras"
    elif weights == "imagenet":
        way_out = (
            f"Download {PUBLISHER}/{BACKBONES[backbone].file} to that place, "
            "or pass weights='none' to start from random ones"
        )
    else:
        way_out = "Expected `imagenet`, `none`, or the path of a file"
    raise FileNotFoundError(
        f"No weights for backbone `{backbone}`. Looked for: {path}. {way_out}."
    )
