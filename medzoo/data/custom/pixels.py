"""Image files as arrays: checked, joined, resized, of 16 bits or 8."""

import hashlib
import io
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from medzoo.data.custom.large import MOST_PIXELS, find_large
from medzoo.data.custom.table import BadImage, DeepImage
from medzoo.files import read_regular

# What Pillow raises for damaged or malicious files.
DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError,
    OverflowError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
# Pillow's other readers are never asked: some start programs, as Ghostscript.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
GREY, _COLOUR = ("L", "1"), ("RGB", "P", "RGBA", "LA", "PA")
DEEP = ("I;16", "I;16L", "I;16B")
# How Pillow packs such pixels in a file; it keeps their upper 8 bits alone.
_DEEP_COLOUR = re.compile(r"(RGB|RGBX|RGBA|LA);16[BLNS]")


class ImageFacts(NamedTuple):
    """What is known of the files of one image.

    Args:
        digest: SHA-256 of the bytes of all files.
        mode: Pillow's name of the kind of pixels, such as `RGB`.
        width: Of the file.
        height: Of the file.
        is_grey: Whether the file has no colour.
    """

    digest: str
    mode: str
    width: int
    height: int
    is_grey: bool


def read_pixels(
    paths: Sequence[Path],
    *,
    size: int | None,
    mode: str,
    resize: str,
    deep: bool,
) -> tuple[np.ndarray, ImageFacts]:
    """Reads the files of one image.

    Args:
        paths: One file, or one a channel. Where images are resized, a file may
            be larger than the memory; see `large`.
        size: Height and width that the image gets, by bicubic interpolation
            (with a support that grows as the image shrinks); `None` leaves it
            as it is.
        mode: `grey`, `rgb`, or `auto` for what the file is.
        resize: `pad` keeps the shape and fills up with black; `stretch` does
            not.
        deep: Whether files have 16 bits.

    Returns:
        `uint8`, or `uint16` of 16-bit files, shape `(size, size, 3)`, or
        `(size, size, num_files)` where several files make an image; and what
        is known of the files.

    Raises:
        BadImage: With the reason, if a file cannot be used.
    """
    planes: list[_Plane] = []
    digest = hashlib.sha256()
    for path in paths:
        try:
            plane = _read_plane(path, digest, size, resize)
        except DAMAGE as error:
            raise BadImage(format_damage(error)) from error
        first = planes[0] if planes else plane
        if (plane.width, plane.height) != (first.width, first.height):
            raise BadImage(
                f"{path.name} is {plane.width}x{plane.height} and "
                f"{paths[0].name} {first.width}x{first.height}"
            )
        _check_depth(plane.mode, deep)
        if len(paths) > 1 and plane.mode not in (*GREY, *DEEP):
            reason = (
                f"{path.name} is {plane.mode}, where one grey channel belongs"
            )
            raise BadImage(reason)
        planes.append(plane)
    is_grey = first.mode in (*GREY, *DEEP) and len(paths) == 1
    parts = [plane.image for plane in planes]
    if not deep and (mode == "grey" or len(parts) == 1):
        kind = "L" if mode == "grey" else "RGB"
        parts = [part.convert(kind) for part in parts]
    values = np.dstack([_as_array(part, deep) for part in parts])
    return values, ImageFacts(digest.hexdigest(), *first[1:], is_grey)


class _Plane(NamedTuple):
    """One file, resized where images are, and what it was before."""

    image: Image.Image
    mode: str
    width: int
    height: int


def _read_plane(
    path: Path, digest: Any, size: int | None, resize: str
) -> _Plane:
    large = None if size is None else find_large(path)
    if large is None or size is None:
        content = read_regular(path)
        image = _open(content)
        mode, shape = image.mode, image.size
        digest.update(content)
        if is_black_and_white(content):  # Read as noise before 0.3.0.
            digest.update(b"black and white")
    else:
        square = resize == "stretch" or large.width == large.height
        image = large.shrink(
            (size, size) if square else fit_box(*large.shape, size)
        )
        mode = "I;16" if image.mode == "F" else image.mode
        shape = large.shape
        large.add_to(digest)
    if size is not None:
        image = resize_image(image, size, resize)
    return _Plane(image, mode, *shape)


def open_image(content: bytes) -> Image.Image:
    """Opens a file of one image, whose pixels are not checked yet.

    Raises:
        BadImage: If it has too many of them, or several pages.
    """
    if is_mended := is_black_and_white(content):
        # A palette of three colours is read as it should.
        content = content[:_COLOURS] + b"\3" + content[_COLOURS + 1 :]
    image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        raise BadImage(
            f"{image.width}x{image.height} pixels, above the limit of "
            f"{MOST_PIXELS:,}"
        )
    # Phones add small copies, or maps of depth, to the JPEG of a photograph.
    is_photograph = image.format == "MPO"
    pages = 1 if is_photograph else getattr(image, "n_frames", 1)
    if pages > 1:
        raise BadImage(
            f"{pages} pages or frames, where one belongs; save the one that is "
            "meant as a file of its own"
        )
    return image.convert("L") if is_mended else image


# Where a bitmap says how many bits a pixel has, and how many colours there are.
_BITS, _COLOURS = 28, 46
_BLACK_AND_WHITE = bytes(3), b"\xff" * 3


def is_black_and_white(content: bytes) -> bool:
    """Says whether a file is a bitmap of two colours, of more than a bit.

    Pillow takes each of them for one of a bit a pixel, and reads noise.
    """
    if content[:2] != b"BM" or len(content) < _COLOURS + 4:
        return False
    size, bits = content[14], content[_BITS]
    colours = content[_COLOURS : _COLOURS + 4]
    palette = (
        content[14 + size : 17 + size], content[18 + size : 21 + size],
    )  # fmt: skip
    is_two = colours == b"\2\0\0\0" and palette == _BLACK_AND_WHITE
    return is_two and bits in (4, 8)


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
    if image.mode in ("LA", "1"):
        image = image.convert("L")
    return ImageOps.exif_transpose(image)


def _check_depth(mode: str, deep: bool) -> None:
    if (mode in DEEP) == deep:
        return
    if deep:
        raise BadImage(f"8 bits (mode {mode}) among files of 16")
    raise DeepImage(
        '16 bits; say how they become 8: intensity = "percentile" or "full"'
    )


def resize_image(
    image: Image.Image,
    size: int,
    resize: str,
    method: Image.Resampling = Image.Resampling.BICUBIC,
    padding: int = 0,
) -> Image.Image:
    """Makes an image square; see `read_pixels`."""
    box = (size, size)
    if image.size == box:
        return image
    if image.mode in DEEP:
        image = image.convert("I").convert("F")
    if resize == "stretch" or image.width == image.height:
        return image.resize(box, method)
    inner = fit_box(image.width, image.height, size)
    if min(inner) == 1:  # Pillow would leave no pixel of a strip.
        image = image.resize(inner, method)
    return ImageOps.pad(image, box, method, color=padding)


def fit_box(width: int, height: int, size: int) -> tuple[int, int]:
    """Returns width and height of an image that is padded to a square.

    Example:

    >>> fit_box(40, 24, 16), fit_box(2000, 20, 28)
    ((16, 10), (28, 1))
    """
    long = max(width, height)
    return (
        max(1, round(width / long * size)),
        max(1, round(height / long * size)),
    )


def _as_array(image: Image.Image, deep: bool) -> np.ndarray:
    values = np.asarray(image)
    if not deep:
        return values
    return np.clip(np.rint(values), 0, 2**16 - 1).astype(np.uint16)


def format_damage(error: BaseException) -> str:
    """Words an error of Pillow without the address of a buffer."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "no image, or a damaged one"
    if isinstance(error, FileNotFoundError):
        return "missing"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"cannot be read ({text})"


# Percentiles of train that become black and white.
LOW, HIGH = 0.1, 99.9
_LEVELS = 2**16
_CHUNK = 256


def find_ranges(
    images: np.ndarray, train: np.ndarray, rule: str
) -> list[tuple[int, int]]:
    """Finds the values that become black and white, channel by channel.

    Args:
        images: `uint16`, shape `(n, height, width, channels)`.
        train: Indices of the images of train, the only ones that are measured.
        rule: `percentile`, or `full` for 0 and 65535.

    Example:

    >>> ramp = np.arange(1024, dtype="uint16").reshape(1, 32, 32, 1)
    >>> find_ranges(ramp, np.array([0]), "percentile")
    [(1, 1022)]
    """
    channels = images.shape[-1]
    if rule == "full":
        return [(0, _LEVELS - 1)] * channels
    counts = np.zeros((channels, _LEVELS), np.int64)
    for start in range(0, len(train), _CHUNK):
        part = images[train[start : start + _CHUNK]]
        for channel in range(channels):
            values = part[..., channel].ravel()
            counts[channel] += np.bincount(values, minlength=_LEVELS)
    ranges = []
    for row in counts.cumsum(axis=1):
        ends = row[-1] * np.array([LOW, HIGH]) / 100
        low, high = np.searchsorted(row, ends)
        ranges.append((int(low), int(max(high, low + 1))))
    return ranges


def to_bytes(images: np.ndarray, ranges: list[tuple[int, int]]) -> np.ndarray:
    """Stretches the range of each channel to 0 to 255, and cuts off the rest.

    Example:

    >>> to_bytes(np.array([[[[5], [10], [99]]]], "uint16"), [(0, 20)]).ravel()
    array([ 64, 128, 255], dtype=uint8)
    """
    low, high = np.array(ranges, np.float32).T
    scaled = (images.astype(np.float32) - low) / (high - low)
    return np.floor(np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8)


def fit_channels(
    values: np.ndarray,
    channels: int,
    ranges: Sequence[tuple[int, int]] = (),
) -> np.ndarray:
    """Gives what `read_pixels` returns the type and channels of a model.

    A grey image becomes one of three equal channels; beside two channels, the
    third one stays black.

    Args:
        values: Shape `(..., height, width, channels)`.
        channels: 1 or 3.
        ranges: Of each channel of 16-bit values; see `find_ranges`.

    Returns:
        `uint8`, shape `(..., height, width, channels)`.

    Example:

    >>> fit_channels(np.array([[[7, 9]]], "uint8"), 3).tolist()
    [[[7, 9, 0]]]
    """
    if ranges:
        values = to_bytes(values, list(ranges))
    missing = channels - values.shape[-1]
    if missing > 0 and values.shape[-1] == 1:
        return np.repeat(values, channels, axis=-1)
    if missing > 0:
        black = np.zeros((*values.shape[:-1], missing), np.uint8)
        return np.concatenate([values, black], axis=-1)
    return values[..., :channels]
