"""A figure of masks: images with outlines, and areas by segment."""

from typing import TYPE_CHECKING

import numpy as np

from medzoo.explore.mask_page import AREA_BINS, LOWEST, TICKS, count_areas
from medzoo.explore.masks import MaskLook, SegmentLook
from medzoo.explore.tiles import colour_of, outline
from medzoo.report.figures.style import (
    add_panel,
    add_titles,
    make_figure,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TOP, _TILE, _TALL, _WIDE, _PIXELS = 0.75, 1.0, 1.2, 2.4, 144


def draw_segments(look: MaskLook, title: str) -> "Figure":
    """Draws a row a segment: some of its images, and all of its areas."""
    marks = look.segments[1:]
    right = 0.3 + max(len(found.rows) for found in marks) * _TILE
    height = _TOP + len(marks) * _TALL + 0.3
    figure = make_figure(right + _WIDE + 0.3, height)
    note = "train, from the smallest to the largest area; share of an image"
    add_titles(figure, f"{title}: what masks mark", note)
    for index, found in enumerate(marks):
        top = _TOP + index * _TALL
        for column, row in enumerate(found.rows):
            left = 0.1 + column * _TILE
            axis = add_panel(figure, left, top, _TILE - 0.05, _TILE - 0.05)
            axis.imshow(outline(look.images[row], look.masks[row], _PIXELS))
            axis.set_axis_off()
        axis = add_panel(figure, right, top + 0.2, _WIDE, _TILE - 0.25)
        _draw_areas(axis, found, colour_of(index + 1))
    return figure


def _draw_areas(axis: "Axes", found: SegmentLook, colour: str) -> None:
    edges = np.geomspace(LOWEST, 1, AREA_BINS + 1)
    axis.stairs(count_areas(found.areas), edges, color=colour, fill=True)
    axis.set_xscale("log")
    axis.set_xlim(LOWEST, 1)
    axis.set_yticks([])
    axis.set_xticks(np.geomspace(LOWEST, 1, len(TICKS)), TICKS)
    axis.minorticks_off()
    axis.tick_params(labelsize=7)
    axis.set_title(shorten(found.name, 24), size=9, loc="left")
