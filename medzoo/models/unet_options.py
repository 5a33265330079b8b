"""What the options of the U-Net may be, readable without Keras."""

from collections.abc import Mapping
from typing import Any

from medzoo.wording import check_names

OPTIONS: dict[str, Any] = {
    "levels": 4,
    "dropout": 0.2,
    "norm": "batch",
    "upsample": "nearest",
    "pad": True,
}
# Options of its loss, which the builder does not have.
LOSS_OPTIONS: dict[str, Any] = {
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
_NUMBERS = {"num_segments": (2, 127), "levels": (1, 8), "dropout": (0, 0.99)}


def check_options(options: Mapping[str, Any]) -> None:
    """Checks names and numbers.

    Raises:
        ValueError: For an unknown name, or a number out of range.

    Example:

    >>> check_options({"levels": 4, "norm": "group"})
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
