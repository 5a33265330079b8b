"""A histogram as a path of SVG."""

from collections.abc import Sequence

WIDE, TALL = 240, 80


def make_path(values: Sequence[float], highest: float) -> str:
    """Draws values as steps in a box of `WIDE` x `TALL`.

    Args:
        values: One a step, from 0.
        highest: The value that is as high as the box.

    Example:

    >>> make_path([1, 2], highest=2)
    'M0 80V40.0H120V0.0H240V80Z'
    """
    step = WIDE / len(values)
    parts = [f"M0 {TALL}"]
    for at, value in enumerate(values):
        high = value / highest if highest else 0
        parts.append(f"V{TALL * (1 - high):.1f}H{(at + 1) * step:g}")
    return f"{''.join(parts)}V{TALL}Z"
