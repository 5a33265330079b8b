"""What the page of a look at data says of its masks."""

import csv
import io
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


# Areas lie in bins of equal ratios, from a ten-thousandth of an image to all.
LOWEST, AREA_BINS = 1e-4, 24
TICKS = ("0.01 %", "1 %", "100 %")
TILE = 128
# Images of train below which a mask class is hard to learn, and pixels below
# which
# an object is hard to see.
_FEW, _SMALL = 30, 16


def show_masks(look: MaskSummary) -> dict[str, Any]:
    """Makes what the page shows of masks."""
    return {
        "summary": format_masks(look),
        "mask_classes": [
            _show(look, mask_class)
            for mask_class in range(len(look.mask_classes))
        ],
        "others": {"empty masks": look.empty}
        | ({"no mask": look.unknown} if any(look.unknown.values()) else {}),
        "ticks": TICKS,
    }


def format_masks(look: MaskSummary) -> str:
    """Says in two sentences how many pixels and masks of train are of what."""
    shares = ", ".join(
        f"{found.shares['train']:.1%} {found.name}"
        for found in look.mask_classes
    )
    empty, unknown = look.empty["train"], look.unknown["train"]
    lost = f", and {unknown:,} images have none" if unknown else ""
    return (
        f"Pixels of train: {shares}. Of its {look.known():,} masks {empty:,} "
        f"are empty{lost}."
    )


def find_mask_warnings(look: MaskSummary) -> list[str]:
    """Lists what a user had better know of masks before training."""
    warnings = []
    marks = look.mask_classes[1:]
    if few := [each.name for each in marks if each.counts["train"] < _FEW]:
        warnings.append(
            f"Fewer than {_FEW} images of train hold {', '.join(few)}. Dice "
            "counts so rare a mask class as much as any other."
        )
    for split in SPLITS[1:]:
        if none := [each.name for each in marks if not each.counts[split]]:
            warnings.append(f"No mask of {split} holds {', '.join(none)}.")
    for found in marks:
        if found.areas.size and found.median() * found.places.size < _SMALL:
            warnings.append(
                f"Half of the images with {found.name} have fewer than "
                f"{_SMALL} pixels of it. A larger size shows more."
            )
    return warnings


def count_areas(areas: np.ndarray) -> np.ndarray:
    """Counts areas, shares of an image from 0 to 1, in bins of equal ratios.

    Example:

    >>> count_areas(np.array([0.00001, 0.5, 1.0]))[[0, -2, -1]].tolist()
    [1, 1, 1]
    """
    edges = np.geomspace(LOWEST, 1, AREA_BINS + 1)
    return np.histogram(areas.clip(LOWEST, 1), edges)[0]


def make_mask_class_csv(look: MaskSummary) -> str:
    """Makes the table of the mask classes, a row each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    shares = [f"share_of_{split}" for split in SPLITS]
    writer.writerow(["mask_class", *SPLITS, *shares, "median_area"])
    for found in look.mask_classes:
        writer.writerow(
            [
                found.name,
                *(found.counts[split] for split in SPLITS),
                *(round(found.shares[split], 6) for split in SPLITS),
                round(found.median(), 6) if found.areas.size else "",
            ]
        )
    return out.getvalue()


def _show(look: MaskSummary, mask_class: int) -> dict[str, Any]:
    """Makes what the page shows of a mask class."""
    found = look.mask_classes[mask_class]
    shown = {
        "name": found.name,
        "counts": found.counts,
        "shares": [f"{100 * found.shares[split]:.2f} %" for split in SPLITS],
        "colour": colour_of(mask_class) if mask_class else "",
        "samples": "",
    }
    if (
        not mask_class or not found.areas.size
    ):  # Background is what others leave.
        return shown
    images = [
        outline(look.images[row], look.masks[row], TILE) for row in found.rows
    ]
    counts = count_areas(found.areas)
    return shown | {
        "samples": to_uri(make_strip(images, TILE)),
        "places": to_uri(make_strip([_shade(found)])),
        "areas": _format_areas(found),
        "path": make_path([int(count) for count in counts], int(counts.max())),
    }


def _shade(found: MaskClassSummary) -> np.ndarray:
    """Draws where a mask class lies: black is never, white its most frequent
    place."""
    places = found.places / max(found.places.max(), 1e-9)
    return np.rint(255 * places).astype(np.uint8)[..., None]


def _format_areas(found: MaskClassSummary) -> str:
    low, middle, high = 100 * np.quantile(found.areas, (0.25, 0.5, 0.75))
    return (
        f"median {middle:.3g} % of an image, half of them {low:.3g} to "
        f"{high:.3g} %"
    )


_TOP, _TILE, _TALL, _WIDE, _PIXELS = 0.75, 1.0, 1.2, 2.4, 144


def draw_mask_classes(look: MaskSummary, title: str) -> "Figure":
    """Draws a row a mask class: some of its images, and all of its areas."""
    marks = look.mask_classes[1:]
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


def _draw_areas(axis: "Axes", found: MaskClassSummary, colour: str) -> None:
    edges = np.geomspace(LOWEST, 1, AREA_BINS + 1)
    axis.stairs(count_areas(found.areas), edges, color=colour, fill=True)
    axis.set_xscale("log")
    axis.set_xlim(LOWEST, 1)
    axis.set_yticks([])
    axis.set_xticks(np.geomspace(LOWEST, 1, len(TICKS)), TICKS)
    axis.minorticks_off()
    axis.tick_params(labelsize=7)
    axis.set_title(shorten(found.name, 24), size=9, loc="left")
