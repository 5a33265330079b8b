"""Options of the models, with their checks; readable without Keras."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from medzoo.messages import check_names
from medzoo.models.backbones import TRUNKS

SKIP_CNN_OPTIONS: dict[str, Any] = {
    "dropout": 0.2,
    "stages": 3,
    "blocks": 1,
    "members": 1,
    "stem": "deep",
    "block_type": "plain",
    "squeeze_excite": True,
}


class Stem(NamedTuple):
    """What comes before the first block.

    Args:
        shares: Channels of each convolution, as shares of the width.
        side: Of the kernels.
        stride: Of the convolutions.
        pool: Side of the maximum pooling after them; 1 for none.
    """

    shares: tuple[float, ...] = (1.0,)
    side: int = 3
    stride: int = 1
    pool: int = 1


STEMS = {
    "strided": Stem(stride=2),
    "full": Stem(),
    "pooled": Stem(pool=2),
    "deep": Stem(shares=(0.5, 1.0), pool=2),
    "patch": Stem(side=4, stride=4),
}
BLOCK_TYPES = ("plain", "separable", "bottleneck")


def check_skip_cnn(options: Mapping[str, Any]) -> None:
    """Checks names.

    Raises:
        ValueError: For an unknown one.
    """
    check_names({"stem": STEMS, "block_type": BLOCK_TYPES}, options)


HEADS = ("linear", "mlp")
POOLS = ("mean", "mean_std")
# Axes of a batch of images to flip for each view of it, the plain one first: 1
# from top to bottom, 2 from left to right.
FLIPS: dict[str, tuple[tuple[int, ...], ...]] = {
    "fixed": ((),),
    "mirror": ((), (2,)),
    "any": ((), (1,), (2,), (1, 2)),
}
VIEWS = ("plain", *FLIPS, "by_task")


def check_transfer(options: Mapping[str, Any]) -> None:
    """Checks all options of `transfer` that need no trunk to be built.

    Raises:
        ValueError: For a value that no trunk has.
    """
    check_names({"backbone": TRUNKS, "head": HEADS}, options)
    check_features(options)
    freeze = options["freeze"]
    blocks = freeze.isdecimal() and int(freeze) > 0
    if freeze not in ("all", "none", "bn") and not blocks:
        raise ValueError(
            "`freeze` must be all, none, bn (batch norm alone) or the number "
            f"of blocks to freeze, such as 5. Received: freeze={freeze!r}."
        )
    if not 0 <= options["dropout"] < 1:
        raise ValueError(
            "`dropout` must be at least 0 and less than 1. "
            f"Received: dropout={options['dropout']}."
        )


def check_features(options: Mapping[str, Any]) -> None:
    """Checks the options of baselines; their trunk may be `none`, for pixels.

    Raises:
        ValueError: For a value that no trunk has.
    """
    names = {"pool": POOLS, "views": VIEWS, "backbone": ["none", *TRUNKS]}
    check_names(names, options)
    if options.get("strength", 0.0) < 0:
        raise ValueError(
            "`strength` must be 0, to choose it on val, or above. "
            f"Received: strength={options['strength']}."
        )
    if options["backbone"] == "none":
        return
    minimum = TRUNKS[options["backbone"]].minimum
    if options["resize"] and options["resize"] < minimum:
        raise ValueError(
            f"Trunk `{options['backbone']}` needs images of {minimum} pixels. "
            f"Expected `resize` of {minimum} or more, or 0 for the larger of "
            f"that and the image. Received: resize={options['resize']}."
        )


UNET_OPTIONS: dict[str, Any] = {
    "levels": 4,
    "dropout": 0.2,
    "norm": "batch",
    "upsample": "nearest",
    "pad": True,
}
# Options of its loss, which the builder does not have.
UNET_LOSS_OPTIONS: dict[str, Any] = {
    "mask_loss": "dice+cross_entropy",
    "mask_weight": 1.0,
    "label_weight": 1.0,
    "mask_balance": False,
}
_NAMES = {
    "norm": ("batch", "group", "none"),
    "upsample": ("nearest", "bilinear", "transposed"),
}
# The lowest and the highest of each; 8 levels halve 256 pixels down to one.
_NUMBERS = {
    "num_mask_classes": (2, 127),
    "levels": (1, 8),
    "dropout": (0, 0.99),
}


def check_unet(options: Mapping[str, Any]) -> None:
    """Checks names and numbers.

    Raises:
        ValueError: For an unknown name, or a number out of range.

    Example:

    >>> check_unet({"levels": 4, "norm": "group"})
    """
    check_names(_NAMES, options)
    for option, (low, high) in _NUMBERS.items():
        if not low <= options.get(option, low) <= high:
            raise ValueError(
                f"`{option}` of `unet` must lie between {low} and {high}. "
                f"Received: {option}={options[option]}."
            )


def find_border(side: int, levels: int) -> tuple[int, int]:
    """Returns what is missing at both ends to halve a side evenly.

    Example:

    >>> find_border(28, levels=4), find_border(32, levels=4)
    ((2, 2), (0, 0))
    """
    missing = -side % 2**levels
    return missing // 2, missing - missing // 2
