"""What the options of the skip CNN may be, readable without Keras."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from medzoo.wording import check_names

OPTIONS: dict[str, Any] = {
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


def check_options(options: Mapping[str, Any]) -> None:
    """Checks names.

    Raises:
        ValueError: For an unknown one.
    """
    check_names({"stem": STEMS, "block_type": BLOCK_TYPES}, options)
