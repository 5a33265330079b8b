"""Images with what a model sees in them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medzoo.report.figures.style import (
    add_panel,
    add_titles,
    make_figure,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE, _GAP, _COLUMNS = 1.35, 0.12, 3


def draw_overlays(
    images: Sequence[np.ndarray] | np.ndarray,
    maps: Sequence[np.ndarray] | np.ndarray,
    captions: Sequence[str],
    *,
    title: str,
) -> "Figure":
    """Draws each image beside itself with its map laid over it.

    Args:
        images: `uint8`, each of shape `(height, width, channels)`.
        maps: Loss of log odds, each of shape `(height, width)`.
        captions: One an image.
        title: Above all.
    """
    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    width = max(5.0, columns * (2 * _SIDE + 3 * _GAP) + 0.3)
    height = 0.75 + rows * (_SIDE + 0.4) + 0.1
    figure = make_figure(width, height)
    note = (
        "red: hiding it costs log odds of the class; blue: hiding it adds to "
        "them; each image has its own scale"
    )
    add_titles(figure, title, note)
    for index, (image, found) in enumerate(zip(images, maps, strict=True)):
        row, column = divmod(index, columns)
        left = 0.2 + column * (2 * _SIDE + 3 * _GAP)
        top = 0.95 + row * (_SIDE + 0.4)
        limit = max(float(np.abs(found).max()), 1e-6)
        shown = image[..., 0] if image.shape[-1] == 1 else image
        for part in (0, 1):
            at = left + part * (_SIDE + _GAP / 2)
            axis = add_panel(figure, at, top, _SIDE, _SIDE)
            axis.imshow(shown, cmap="gray", vmin=0, vmax=255)
            axis.set_axis_off()
            if part:
                axis.imshow(
                    found, cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.55
                )
            else:
                text = shorten(captions[index], 46)
                axis.set_title(text, size=7, loc="left", pad=3)
    return figure
