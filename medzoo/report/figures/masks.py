"""Images with their masks: true, predicted, and where the two differ."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medzoo.record import MaskExamples
from medzoo.report.figures.style import (
    COLOURS,
    add_image,
    add_titles,
    make_figure,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIDE, _GAP = 1.35, 0.08
_COLUMNS = ("image", "truth", "prediction", "error")
# The pixels of an image that is not shown, under its masks.
BLANK = 255
_WORDS = dict(
    zip(
        COLOURS,
        ("blue", "vermilion", "green", "purple", "orange", "sky blue"),
        strict=True,
    )
)
_MISSED, _ADDED, _OTHER = COLOURS[0], COLOURS[1], COLOURS[4]


def draw_masks(
    examples: MaskExamples,
    dice: Sequence[float],
    mask_classes: Sequence[str],
    *,
    title: str,
) -> "Figure":
    """Draws the images of test with the best, middle and worst masks.

    Args:
        examples: What a run with masks keeps of them; blank images have no
            column of their own.
        dice: Dice of each.
        mask_classes: Names of the mask classes.
        title: Above all.
    """
    rows = examples.rows
    columns = _COLUMNS[bool((examples.images == BLANK).all()) :]
    width = 0.4 + len(columns) * (_SIDE + _GAP)
    figure = make_figure(width, 1.2 + len(rows) * (_SIDE + 0.24))
    names = zip(mask_classes[1:], COLOURS, strict=False)
    note = ", ".join(f"{name} {_WORDS[colour]}" for name, colour in names)
    note += "; errors: missed blue, added vermilion, mixed up orange"
    add_titles(figure, title, shorten(note, 95))
    for index, value in enumerate(dice):
        image, truth = examples.images[index], examples.truth[index]
        # What is predicted outside of the image, in its padding, says nothing.
        mask = np.where(truth < 0, 0, examples.predicted[index])
        parts = (None, _paint(truth), _paint(mask), _compare(truth, mask))
        for column, layer in enumerate(parts[-len(columns) :]):
            left = 0.2 + column * (_SIDE + _GAP)
            top = 1.0 + index * (_SIDE + 0.24)
            axis = add_image(figure, image, left, top, _SIDE)
            if layer is not None:
                axis.imshow(layer)
            if not index:
                axis.text(0.5, 1.16, columns[column], size=8, ha="center",
                          transform=axis.transAxes)  # fmt: skip
            if not column:
                text = f"test image {rows[index]}: Dice {value:.2f}"
                axis.set_title(text, size=7, loc="left", pad=2)
    return figure


def _paint(mask: np.ndarray) -> np.ndarray:
    """Colours the foreground, and leaves the background clear."""
    layer = np.zeros((*mask.shape, 4), "uint8")
    for mask_class in range(1, int(mask.max(initial=0)) + 1):
        colour = COLOURS[(mask_class - 1) % len(COLOURS)]
        layer[mask == mask_class] = (*bytes.fromhex(colour[1:]), 150)
    return layer


def _compare(truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Colours what is missed, what is added, and what is of another class."""
    layer = np.zeros((*mask.shape, 4), "uint8")
    wrong = (truth != mask) & (truth >= 0)
    for colour, pixels in (
        (_MISSED, wrong & (mask == 0)),
        (_ADDED, wrong & (truth == 0)),
        (_OTHER, wrong & (mask > 0) & (truth > 0)),
    ):
        layer[pixels] = (*bytes.fromhex(colour[1:]), 200)
    return layer
