"""What a run may ask of a pretrained trunk, readable without Keras."""

from collections.abc import Mapping
from typing import Any

from medzoo.models.trunks import TRUNKS
from medzoo.wording import check_names

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


def check_options(options: Mapping[str, Any]) -> None:
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
