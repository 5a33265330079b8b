"""Options of the models, with their checks; readable without Keras."""

import math
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


TASK_WEIGHTINGS = (
    "equal",
    "size",
    "uncertainty",
    "dwa",
    "gradnorm",
    "pcgrad",
)
# Options of its training, which the builder does not have. A task of `n` images
# is drawn in proportion to `n ** alpha`: of a batch of 128, breastmnist has 0.2
# images at alpha 1, 1.7 at 0.5 and 12 at 0, where its 546 images are seen as
# often as tissuemnist's 165,466.
MULTI_HEAD_TRAINING: dict[str, Any] = {"alpha": 0.5, "task_weighting": "equal"}


def check_multi_head(options: Mapping[str, Any]) -> None:
    """Checks how tasks are weighed and drawn.

    Raises:
        ValueError: For an unknown name, or a number out of range.
    """
    check_names({"task_weighting": TASK_WEIGHTINGS}, options)
    check_numbers("multi_head", {"alpha": (0, 1)}, options)


def check_numbers(
    model: str,
    ranges: Mapping[str, tuple[float, float]],
    options: Mapping[str, Any],
) -> None:
    """Checks that options lie in their ranges, both ends included.

    Raises:
        ValueError: For the first that does not.
    """
    for option, (low, high) in ranges.items():
        if not low <= options.get(option, low) <= high:
            bounds = f"lie between {low} and {high}"
            if high == math.inf:
                bounds = f"be {low} or more"
            raise ValueError(
                f"`{option}` of `{model}` must {bounds}. "
                f"Received: {option}={options[option]}."
            )


# Options of its training, which the builder does not have: the share of the
# steps in which the head is trained alone, and the learning rate of the trunk
# as a share of the head's.
TRANSFER_TRAINING: dict[str, Any] = {"head_first": 0.0, "trunk_rate": 1.0}
_TRANSFER_NUMBERS = {
    "dropout": (0, 0.99),
    "head_first": (0, 0.99),
    "trunk_rate": (1e-9, math.inf),
}
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
    check_numbers("transfer", _TRANSFER_NUMBERS, options)
    rates = {n: options.get(n, v) for n, v in TRANSFER_TRAINING.items()}
    if freeze == "all" and rates != TRANSFER_TRAINING:
        raise ValueError(
            "`head_first` and `trunk_rate` are for a trunk that is trained. "
            "Expected freeze='bn', a number or none. Received: freeze='all'."
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
# Options of its training, which the builder does not have.
UNET_TRAINING: dict[str, Any] = {
    "task_weighting": "equal",
    "mask_loss": "dice+cross_entropy",
    "mask_weight": 1.0,
    "label_weight": 1.0,
    "mask_balance": False,
}
MASK_LOSSES = (
    "cross_entropy",
    "dice",
    "dice+cross_entropy",
    "focal",
    "tversky",
)
_NAMES = {
    # Those that need no gradients of each task.
    "task_weighting": ("equal", "uncertainty", "dwa"),
    "mask_loss": MASK_LOSSES,
    "norm": ("batch", "group", "none"),
    "upsample": ("nearest", "bilinear", "transposed"),
}
# The lowest and the highest of each; 8 levels halve 256 pixels down to one.
_NUMBERS = {
    "num_mask_classes": (2, 127),
    "levels": (1, 8),
    "dropout": (0, 0.99),
    "mask_weight": (0, math.inf),
    "label_weight": (0, math.inf),
}
_WEIGHTS = ("mask_weight", "label_weight")


def check_unet(options: Mapping[str, Any]) -> None:
    """Checks names, numbers and the weights of the heads.

    Raises:
        ValueError: For an unknown name, a number out of range, and for weights
            of the heads that are none, or that `task_weighting` finds itself.

    Example:

    >>> check_unet({"levels": 4, "norm": "group"})
    """
    check_names(_NAMES, options)
    check_numbers("unet", _NUMBERS, options)
    weights = {key: options.get(key, 1.0) for key in _WEIGHTS}
    told = ", ".join(f"{key}={value}" for key, value in weights.items())
    if not sum(weights.values()):
        raise ValueError(
            "`mask_weight` or `label_weight` must be above 0. "
            f"Received: {told}."
        )
    weighting = options.get("task_weighting", "equal")
    if weighting != "equal" and set(weights.values()) != {1.0}:
        raise ValueError(
            f"`task_weighting` of {weighting} finds the weights of the heads "
            f"itself. Expected mask_weight=1 and label_weight=1. "
            f"Received: {told}."
        )


def find_border(side: int, levels: int) -> tuple[int, int]:
    """Returns what is missing at both ends to halve a side evenly.

    Example:

    >>> find_border(28, levels=4), find_border(32, levels=4)
    ((2, 2), (0, 0))
    """
    missing = -side % 2**levels
    return missing // 2, missing - missing // 2
