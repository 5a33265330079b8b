"""The part about masks of the explore page, its table and its figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medzoo.explore.statistics import MaskClassSummary, MaskSummary
from medzoo.explore.tiles import (
    colour_of,
    make_path,
    make_strip,
    outline,
    to_uri,
)
from medzoo.files import write_csv
from medzoo.report.figures.style import (
    add_panel,
    add_titles,
    make_figure,
    shorten,
)
from medzoo.tasks import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Bins of areas have equal ratios, from a ten-thousandth of an image to all.
LOWEST, AREA_BINS = 1e-4, 24
TICKS = ("0.01 %", "1 %", "100 %")
TILE = 128
# Images of train below which a mask class is hard to learn, and pixels below
# which an object is hard to see.
_FEW, _SMALL = 30, 16
# Share of the edge of images from which a mask class is like a background.
_EDGE = 0.8


def show_masks(summary: MaskSummary) -> dict[str, Any]:
    """Makes the values of the template of masks."""
    others = {"empty masks": summary.empty}
    if any(summary.unknown.values()):
        others["no mask"] = summary.unknown
    mask_classes = range(len(summary.mask_classes))
    return {
        "summary": format_masks(summary),
        "mask_classes": [_show(summary, number) for number in mask_classes],
        "others": others,
        "ticks": TICKS,
    }


def format_masks(summary: MaskSummary) -> str:
    """Words the shares of mask classes and the empty masks of train."""
    shares = ", ".join(
        f"{one.shares['train']:.1%} {one.name}" for one in summary.mask_classes
    )
    empty, unknown = summary.empty["train"], summary.unknown["train"]
    lost = f", and {unknown:,} images have none" if unknown else ""
    return (
        f"Pixels of train: {shares}. Of its {summary.known():,} masks "
        f"{empty:,} are empty{lost}."
    )


def find_mask_warnings(summary: MaskSummary) -> list[str]:
    """Lists what limits a training on masks or its scores."""
    warnings = []
    marks = summary.mask_classes[1:]
    if few := [one.name for one in marks if one.counts["train"] < _FEW]:
        warnings.append(
            f"Fewer than {_FEW} images of train hold {', '.join(few)}. Dice "
            "counts so rare a mask class as much as any other."
        )
    for split in SPLITS[1:]:
        if none := [one.name for one in marks if not one.counts[split]]:
            warnings.append(f"No mask of {split} holds {', '.join(none)}.")
    for one in marks:
        if one.areas.size and one.median() * one.places.size < _SMALL:
            warnings.append(
                f"Half of the images with {one.name} have fewer than "
                f"{_SMALL} pixels of it. A larger size shows more."
            )
        edge = np.ones(one.places.shape, bool)
        edge[1:-1, 1:-1] = False
        if one.places.size >= _SMALL and one.places[edge].mean() > _EDGE:
            warnings.append(
                f"{one.name} is most of the edge of the images. If it is the "
                "background, say so: mask_values name the background first."
            )
    return warnings


def count_areas(areas: np.ndarray) -> np.ndarray:
    """Counts areas, shares of an image from 0 to 1, in bins of equal ratios."""
    edges = np.geomspace(LOWEST, 1, AREA_BINS + 1)
    return np.histogram(areas.clip(LOWEST, 1), edges)[0]


def write_mask_classes(summary: MaskSummary, path: Path) -> None:
    """Writes the table of the mask classes, a row each."""
    shares = [f"share_of_{split}" for split in SPLITS]
    write_csv(
        path,
        ["mask_class", *SPLITS, *shares, "median_area"],
        [
            [
                one.name,
                *(one.counts[split] for split in SPLITS),
                *(round(one.shares[split], 6) for split in SPLITS),
                round(one.median(), 6) if one.areas.size else "",
            ]
            for one in summary.mask_classes
        ],
    )


def _show(summary: MaskSummary, mask_class: int) -> dict[str, Any]:
    """Makes the values of the template of a mask class."""
    one = summary.mask_classes[mask_class]
    shown = {
        "name": one.name,
        "counts": one.counts,
        "shares": [f"{100 * one.shares[split]:.2f} %" for split in SPLITS],
        "colour": colour_of(mask_class) if mask_class else "",
        "samples": "",
    }
    # The background is what others leave.
    if not mask_class or not one.areas.size:
        return shown
    images = [
        outline(summary.images[row], summary.masks[row], TILE)
        for row in one.rows
    ]
    counts = count_areas(one.areas)
    return shown | {
        "samples": to_uri(make_strip(images, TILE)),
        "places": to_uri(make_strip([_shade(one)])),
        "areas": _format_areas(one),
        "path": make_path([int(count) for count in counts], int(counts.max())),
    }


def _shade(one: MaskClassSummary) -> np.ndarray:
    """Draws how often each pixel holds a mask class; white is most often."""
    places = one.places / max(one.places.max(), 1e-9)
    return np.rint(255 * places).astype(np.uint8)[..., None]


def _format_areas(one: MaskClassSummary) -> str:
    low, middle, high = 100 * np.quantile(one.areas, (0.25, 0.5, 0.75))
    return (
        f"median {middle:.3g} % of an image, half of them {low:.3g} to "
        f"{high:.3g} %"
    )


_TOP, _TILE, _TALL, _WIDE, _PIXELS = 0.75, 1.0, 1.2, 2.4, 144


def draw_mask_classes(summary: MaskSummary, title: str) -> "Figure":
    """Draws a row a mask class: some of its images, and all of its areas."""
    marks = summary.mask_classes[1:]
    right = 0.3 + max(len(one.rows) for one in marks) * _TILE
    height = _TOP + len(marks) * _TALL + 0.3
    figure = make_figure(right + _WIDE + 0.3, height)
    note = "train, from the smallest to the largest area; share of an image"
    add_titles(figure, f"{title}: what masks mark", note)
    for index, one in enumerate(marks):
        top = _TOP + index * _TALL
        for column, row in enumerate(one.rows):
            left = 0.1 + column * _TILE
            axis = add_panel(figure, left, top, _TILE - 0.05, _TILE - 0.05)
            axis.imshow(
                outline(summary.images[row], summary.masks[row], _PIXELS)
            )
            axis.set_axis_off()
        axis = add_panel(figure, right, top + 0.2, _WIDE, _TILE - 0.25)
        _draw_areas(axis, one, colour_of(index + 1))
    return figure


def _draw_areas(axis: "Axes", one: MaskClassSummary, colour: str) -> None:
    edges = np.geomspace(LOWEST, 1, AREA_BINS + 1)
    axis.stairs(count_areas(one.areas), edges, color=colour, fill=True)
    axis.set_xscale("log")
    axis.set_xlim(LOWEST, 1)
    axis.set_yticks([])
    axis.set_xticks(np.geomspace(LOWEST, 1, len(TICKS)), TICKS)
    axis.minorticks_off()
    axis.tick_params(labelsize=7)
    axis.set_title(shorten(one.name, 24), size=9, loc="left")
