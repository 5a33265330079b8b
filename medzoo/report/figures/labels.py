"""Names beside points, where they cover nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medzoo.report.figures.style import NOTE, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Offsets in points, and how a name is set there, in order of preference.
_PLACES = (
    (6, 0, "left", "center"),
    (-6, 0, "right", "center"),
    (5, 6, "left", "bottom"),
    (5, -6, "left", "top"),
    (-5, -6, "right", "top"),
    (-5, 6, "right", "bottom"),
)


def place_labels(
    axis: "Axes",
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    *,
    first: np.ndarray,
) -> None:
    """Writes each name beside its point; a name without room is left out.

    Args:
        axis: Where the points are, with its final limits.
        x: Shape `(n,)`; NaN for a point that is not drawn.
        y: Shape `(n,)`.
        names: Of the points.
        first: Shape `(n,)`, whether a point's name goes before the others.
    """
    known = np.flatnonzero(~np.isnan(x + y))
    pixels = axis.transData.transform(np.column_stack([x, y])[known])
    # A point covers about 9 pixels to each side.
    taken = [(px - 9, py - 9, px + 9, py + 9) for px, py in pixels]
    edges = axis.get_window_extent().extents
    for index in sorted(known, key=lambda i: not first[i]):
        own = taken[list(known).index(index)]
        others = [box for box in taken if box is not own]
        # The front runs to the right of its points and below them.
        places = _PLACES[::-1] if first[index] else _PLACES
        for dx, dy, across, down in places:
            label = axis.annotate(
                shorten(names[int(index)], 28),
                (x[index], y[index]),
                xytext=(dx, dy),
                textcoords="offset points",
                ha=across,
                va=down,
                fontsize=8,
                color="black" if first[index] else NOTE,
            )
            box = label.get_window_extent().extents
            if _inside(box, edges) and not any(_meet(box, b) for b in others):
                taken.append(box)
                break
            label.remove()


def _inside(box: Sequence[float], edges: Sequence[float]) -> bool:
    left, low, right, high = edges
    return bool(
        left <= box[0] and low <= box[1] and box[2] <= right and box[3] <= high
    )


def _meet(a: Sequence[float], b: Sequence[float]) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])
