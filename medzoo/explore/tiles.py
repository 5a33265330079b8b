"""Small images in a row, as a PNG that a page holds in itself."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

# Height and width at which an image is shown at most, and the gap between two.
MOST = 64
_GAP = 2


def make_strip(images: Sequence[np.ndarray]) -> bytes:
    """Puts images side by side; the gaps between them are transparent.

    Args:
        images: `uint8`, each of shape `(height, width, channels)`.

    Returns:
        A PNG.
    """
    tiles = [to_tile(image) for image in images]
    width = sum(tile.width + _GAP for tile in tiles) - _GAP
    strip = Image.new("RGBA", (width, tiles[0].height))
    left = 0
    for tile in tiles:
        strip.paste(tile, (left, 0))
        left += tile.width + _GAP
    out = io.BytesIO()
    strip.save(out, "PNG", optimize=True)
    return out.getvalue()


def to_tile(image: np.ndarray) -> Image.Image:
    """Turns an array into a small picture, in whole steps if it grows."""
    grey = image.shape[-1] == 1
    tile = Image.fromarray(image[..., 0] if grey else image).convert("RGB")
    if tile.width > MOST:
        return tile.resize((MOST, MOST), Image.Resampling.BICUBIC)
    scale = max(1, MOST // tile.width)
    size = (tile.width * scale, tile.height * scale)
    return tile.resize(size, Image.Resampling.NEAREST)


def to_uri(png: bytes) -> str:
    """Writes a PNG as the address of itself.

    Example:

    >>> to_uri(b"abc")
    'data:image/png;base64,YWJj'
    """
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
