"""What the options of the skip CNN may be, readable without Keras."""

from collections.abc import Mapping
from typing import Any

from medzoo.wording import check_names

OPTIONS: dict[str, Any] = {
    "dropout": 0.2,
    "stages": 3,
    "blocks": 1,
    "members": 1,
    "stem": "strided",
    "block_type": "plain",
}
# Side of the kernel, stride, and side of the pooling after it.
STEMS = {
    "strided": (3, 2, 1),
    "full": (3, 1, 1),
    "pooled": (3, 1, 2),
    "patch": (4, 4, 1),
}
BLOCK_TYPES = ("plain", "separable", "bottleneck")


def check_options(options: Mapping[str, Any]) -> None:
    """Checks names.

    Raises:
        ValueError: For an unknown one.
    """
    check_names({"stem": STEMS, "block_type": BLOCK_TYPES}, options)
