"""Thumbnails and histograms as images inside a page."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from medzoo.report.figures.style import COLOURS

# Height and width at which an image is shown at most, and the gap between two.
MOST = 64
_GAP = 2


def make_strip(images: Sequence[np.ndarray], most: int = MOST) -> bytes:
    """Puts images side by side in a PNG; the gaps are transparent."""
    tiles = [to_tile(image, most) for image in images]
    width = sum(tile.width + _GAP for tile in tiles) - _GAP
    strip = Image.new("RGBA", (width, tiles[0].height))
    left = 0
    for tile in tiles:
        strip.paste(tile, (left, 0))
        left += tile.width + _GAP
    out = io.BytesIO()
    strip.save(out, "PNG", optimize=True)
    return out.getvalue()


def to_tile(image: np.ndarray, most: int = MOST) -> Image.Image:
    """Turns an array into a small picture, in whole steps if it grows."""
    grey = image.shape[-1] == 1
    tile = Image.fromarray(image[..., 0] if grey else image).convert("RGB")
    if tile.width > most:
        return tile.resize((most, most), Image.Resampling.BICUBIC)
    scale = max(1, most // tile.width)
    size = (tile.width * scale, tile.height * scale)
    return tile.resize(size, Image.Resampling.NEAREST)


def outline(image: np.ndarray, mask: np.ndarray, most: int) -> np.ndarray:
    """Draws an image with the outlines of its mask, `uint8`, in RGB.

    Args:
        image: `uint8`, shape `(height, width, channels)`.
        mask: The class of each pixel, shape `(height, width)`; 0 and less have
            no outline.
        most: Height and width of the result at most.
    """
    tile = to_tile(image, most)
    marked = Image.fromarray(mask.clip(0).astype(np.uint8))
    marks = np.asarray(marked.resize(tile.size, Image.Resampling.NEAREST))
    framed = np.pad(marks, 1)
    inner = (slice(1, -1), slice(1, -1))
    turns = [(shift, axis) for shift in (-1, 1) for axis in (0, 1)]
    same = [np.roll(framed, *turn)[inner] == marks for turn in turns]
    drawn, edge = np.array(tile), ~np.logical_and.reduce(same)
    for mask_class in range(1, int(marks.max()) + 1):
        colour = bytes.fromhex(colour_of(mask_class)[1:])
        drawn[edge & (marks == mask_class)] = [*colour]
    return drawn


def colour_of(mask_class: int) -> str:
    """Returns the colour of a mask class; light ones first."""
    return COLOURS[-1 - (mask_class - 1) % len(COLOURS)]


def to_uri(png: bytes) -> str:
    """Encodes a PNG as a `data:` address."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


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
