"""Images above the limit of pixels, read strip by strip (`medzoo[large]`)."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from medzoo.data.custom.table import BadImage
from medzoo.files import open_regular

# Pixels of one file that are decoded as a whole.
MOST_PIXELS = 100_000_000
# Bytes that a file of so many pixels has at least; with fewer, it is an attack
# on memory.
_FEWEST_BYTES = MOST_PIXELS // 1024
# More of them would take hours.
_MOST_STREAMED = 20_000_000_000
# Bytes of a strip.
_STRIP = 1 << 24
# Readers by the first bytes of a file. `Image.open` would refuse the header of
# a large image already.
_READERS = {
    b"II": TiffImageFile, b"MM": TiffImageFile, b"\x89P": PngImageFile,
    b"\xff\xd8": JpegImageFile,
}  # fmt: skip
_GREY, _COLOUR = ("L", "1", "LA", "I;16", "I;16L", "I;16B"), ("RGB", "RGBA")
_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112  # Tags.
_BICUBIC = Image.Resampling.BICUBIC
# Orientations that exchange height and width.
_TURNED = (5, 6, 7, 8)


class Large(NamedTuple):
    """What the header of a large image says.

    Args:
        path: The file.
        kind: Pillow's name of its format.
        mode: Pillow's name of the kind of pixels.
        width: Of the pixels as they are stored.
        height: Likewise.
        orientation: How they are turned; 1 for not at all.
    """

    path: Path
    kind: str
    mode: str
    width: int
    height: int
    orientation: int

    @property
    def shape(self) -> tuple[int, int]:
        """Width and height of the image once it is turned."""
        shape = (self.width, self.height)
        return shape[::-1] if self.orientation in _TURNED else shape

    def add_to(self, digest: Any) -> None:
        """Adds the bytes of the file to a digest."""
        with open_regular(self.path) as file:
            while chunk := file.read(_STRIP):
                digest.update(chunk)

    def shrink(self, shape: tuple[int, int]) -> Image.Image:
        """Decodes and resizes the image, in the memory of a few strips.

        The interpolation is bicubic. Rows are shrunk strip by strip, columns
        then: as Pillow does it with the whole image, so that the pixels are
        the same. Those of an image whose header says that it lies on its side
        may differ by a few grey levels, as it is turned afterwards.

        Args:
            shape: Width and height that the turned image gets.

        Returns:
            An image of mode `L` or `RGB`, or `F` of 16-bit files.

        Raises:
            BadImage: With the reason, if the file cannot be used.
        """
        vips = _import_vips(self)
        if self.orientation in _TURNED:
            shape = shape[::-1]
        load = getattr(vips.Image, f"{self.kind.lower()}load")
        try:
            pixels = load(
                str(self.path), access="sequential", fail_on="truncated"
            )
            rows = _shrink_rows(vips.Region.new(pixels), pixels, shape[0])
        except vips.Error as error:
            reason = " ".join(str(error).split())
            raise BadImage(f"cannot be read ({reason})") from None
        image = _to_image(rows).resize(shape, _BICUBIC)
        image.getexif()[_ORIENTATION] = self.orientation
        return ImageOps.exif_transpose(image)


def find_large(path: Path) -> Large | None:
    """Looks for an image above the limit of pixels; `None` for any other.

    Raises:
        BadImage: If it is too large for strips as well, or not of a kind that
            is read so.
        Exception: Any of `DAMAGE` for a damaged file.
    """
    with open_regular(path) as file:
        reader = _READERS.get(file.read(2))
        if reader is None or path.stat().st_size < _FEWEST_BYTES:
            return None
        file.seek(0)
        header: Any = reader(file)
        if header.width * header.height <= MOST_PIXELS:
            return None
        width, height = header.size
        if isinstance(header, TiffImageFile):  # Pillow has turned them.
            width, height = header.tag_v2[_WIDTH], header.tag_v2[_HEIGHT]
        found = Large(
            path,
            str(header.format),
            header.mode,
            width,
            height,
            # That of PNG files would decode them.
            Image.Image.getexif(header).get(_ORIENTATION, 1),
        )
        _check(found, header)
        return found


def _check(image: Large, header: Image.Image) -> None:
    pixels = image.width * image.height
    if pixels > _MOST_STREAMED:
        raise BadImage(
            f"{image.width}x{image.height} pixels, above the limit of "
            f"{_MOST_STREAMED:,}"
        )
    if image.mode not in (*_GREY, *_COLOUR):
        raise BadImage(
            f"mode {image.mode} of more than {MOST_PIXELS:,} pixels, where "
            "grey, RGB or 16-bit grey belongs"
        )
    pages = getattr(header, "n_frames", 1)
    for page in range(1, pages):
        header.seek(page)
        if header.width * header.height >= pixels:
            raise BadImage(
                f"{pages} pages, where one belongs, or smaller copies of it; "
                "save the one that is meant as a file of its own"
            )


def _import_vips(image: Large) -> Any:
    try:
        import pyvips
    except (ImportError, OSError):
        raise BadImage(
            f"{image.width}x{image.height} pixels, above the limit of "
            f"{MOST_PIXELS:,}; `pip install 'medzoo[large]'` reads more, strip "
            "by strip"
        ) from None
    return pyvips


def _shrink_rows(region: Any, pixels: Any, width: int) -> np.ndarray:
    """Returns all rows of an image, resized to a width."""
    deep, bands = pixels.format == "ushort", pixels.bands
    alpha = bands in (2, 4)
    if pixels.format not in ("uchar", "ushort") or (deep and bands > 1):
        raise BadImage(
            f"{bands} channels of {pixels.format}, where 8 bits, or one of 16, "
            "belong"
        )
    count = max(1, _STRIP // (pixels.width * bands * (1 + deep)))
    # Kept in one place, as small pieces between strips would hold their memory.
    shape = (pixels.height, width, bands - alpha)
    rows = np.empty(shape, np.float32 if deep else np.uint8)
    for top in range(0, pixels.height, count):
        high = min(count, pixels.height - top)
        content = region.fetch(0, top, pixels.width, high)
        values = np.frombuffer(content, np.uint16 if deep else np.uint8)
        values = values.reshape(high, pixels.width, bands)
        if alpha:
            if (values[..., -1] != 255).any():
                raise BadImage("transparent pixels, whose colour is anything")
            values = values[..., :-1]
        strip = _to_image(values.astype(np.float32) if deep else values)
        small = np.asarray(strip.resize((width, high), _BICUBIC))
        rows[top : top + high] = np.atleast_3d(small)
    return rows


def _to_image(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
