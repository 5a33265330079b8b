"""Image files as arrays: checked, joined and resized."""

import hashlib
import io
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# Pixels of one file; more of them in a small file are an attack on memory.
MOST_PIXELS = 100_000_000
# What Pillow raises for damaged or malicious files.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
GREY, _COLOUR = ("L", "1"), ("RGB", "P", "RGBA", "LA", "PA")
DEEP = ("I;16", "I;16L", "I;16B")
# How Pillow packs such pixels in a file; it keeps their upper 8 bits alone.
_DEEP_COLOUR = re.compile(r"(RGB|RGBX|RGBA|LA);16[BLNS]")


class BadImage(Exception):  # noqa: N818 - a finding, not an error
    """Says why a file cannot be used."""


@dataclass(frozen=True)
class Pixels:
    """One image as it was read.

    Args:
        values: Shape `(size, size, 3)`, or `(size, size, num_files)` where
            several files make an image; `uint8`, or `uint16` of 16-bit files.
        is_grey: Whether the file has no colour.
        mode: Pillow's name of the kind of pixels, such as `RGB`.
        width: Of the file.
        height: Of the file.
        digest: SHA-256 of the bytes of all files.
    """

    values: np.ndarray
    is_grey: bool
    mode: str
    width: int
    height: int
    digest: str


def read_pixels(
    paths: Sequence[Path], *, size: int, mode: str, resize: str, deep: bool
) -> Pixels:
    """Reads the files of one image.

    Args:
        paths: One file, or one a channel.
        size: Height and width that the image gets, by bicubic interpolation
            (with a support that grows as the image shrinks).
        mode: `grey`, `rgb`, or `auto` for what the file is.
        resize: `pad` keeps the shape and fills up with black; `stretch` does
            not.
        deep: Whether files have 16 bits.

    Raises:
        BadImage: With the reason, if a file cannot be used.
    """
    planes: list[Image.Image] = []
    digest = hashlib.sha256()
    for path in paths:
        try:
            content = path.read_bytes()
            image = _open(content)
        except DAMAGE as error:
            raise BadImage(format_damage(error)) from error
        digest.update(content)
        if planes and image.size != planes[0].size:
            raise BadImage(
                f"{path.name} is {image.width}x{image.height} and "
                f"{paths[0].name} {planes[0].width}x{planes[0].height}"
            )
        _check_depth(image, deep)
        if len(paths) > 1 and image.mode not in (*GREY, *DEEP):
            raise BadImage(f"{path.name} is {image.mode}, where one grey "
                           "channel belongs")  # fmt: skip
        planes.append(image)
    first = planes[0]
    is_grey = first.mode in (*GREY, *DEEP) and len(paths) == 1
    parts = [resize_image(plane, size, resize) for plane in planes]
    if len(parts) == 1 and mode != "grey" and not deep:
        parts = [part.convert("RGB") for part in parts]
    elif mode == "grey" and not deep:
        parts = [part.convert("L") for part in parts]
    values = np.dstack([_as_array(part, deep) for part in parts])
    return Pixels(
        values, is_grey, first.mode, first.width, first.height,
        digest.hexdigest(),
    )  # fmt: skip


def open_image(content: bytes) -> Image.Image:
    """Opens a file of one image, none of whose pixels are read yet.

    Raises:
        BadImage: If it has too many of them, or several pages.
    """
    image: Image.Image = Image.open(io.BytesIO(content))
    if image.width * image.height > MOST_PIXELS:
        raise BadImage(
            f"{image.width}x{image.height} pixels, above the limit of "
            f"{MOST_PIXELS:,}"
        )
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        raise BadImage(f"{pages} pages or frames, where one belongs")
    return image


def _open(content: bytes) -> Image.Image:
    image = open_image(content)
    if image.mode not in (*GREY, *_COLOUR, *DEEP):
        hint = {"CMYK": "; convert it to RGB", "I": "; save it as 16 bits"}
        raise BadImage(
            f"mode {image.mode}, where grey, RGB or 16-bit grey belongs"
            f"{hint.get(image.mode, '')}"
        )
    if any(
        _DEEP_COLOUR.search(str(tile)) for tile in getattr(image, "tile", ())
    ):
        raise BadImage(
            f"mode {image.mode} of 16 bits a channel, which would be cut to 8; "
            "save each channel as a grey file and name them in `channels`"
        )
    image.load()
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            raise BadImage("transparent pixels, whose colour is anything")
        image = image.convert("RGB" if image.mode != "LA" else "L")
    if image.mode in ("P", "PA", "RGBA"):
        image = image.convert("RGB")
    if image.mode == "LA" or image.mode == "1":
        image = image.convert("L")
    return ImageOps.exif_transpose(image)


def _check_depth(image: Image.Image, deep: bool) -> None:
    if (image.mode in DEEP) == deep:
        return
    if deep:
        raise BadImage(f"8 bits (mode {image.mode}) among files of 16")
    raise BadImage(
        '16 bits; say how they become 8: intensity = "percentile" or "full"'
    )


def resize_image(image: Image.Image, size: int, resize: str) -> Image.Image:
    """Makes an image square; see `read_pixels`."""
    if image.size == (size, size):
        return image
    if image.mode in DEEP:
        image = image.convert("I").convert("F")
    box = (size, size)
    if resize == "stretch" or image.width == image.height:
        return image.resize(box, Image.Resampling.BICUBIC)
    return ImageOps.pad(image, box, Image.Resampling.BICUBIC)


def _as_array(image: Image.Image, deep: bool) -> np.ndarray:
    values = np.asarray(image)
    if not deep:
        return values
    return np.clip(np.rint(values), 0, 2**16 - 1).astype(np.uint16)


def format_damage(error: BaseException) -> str:
    """Words what Pillow says without the address of a buffer."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "no image, or a damaged one"
    if isinstance(error, FileNotFoundError):
        return "missing"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"cannot be read ({text})"
