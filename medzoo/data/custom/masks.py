"""Mask files as arrays of mask classes, and the names of the classes."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from medzoo.data.custom.listing import Item
from medzoo.data.custom.options import Options
from medzoo.data.custom.pixels import (
    DAMAGE,
    DEEP,
    FORMATS,
    GREY,
    format_damage,
    is_black_and_white,
    open_image,
    resize_image,
)
from medzoo.data.custom.table import BadImage, Fault
from medzoo.files import read_regular

# Orientations of a photograph that exchange its width and height.
_TURNED = (5, 6, 7, 8)
_MOST_VALUES = 12
# Levels between the channels of a grey pixel of a JPEG.
_NEARLY_GREY = 48
# Levels beside black and white that come from a JPEG.
_SOFT = 32


class MaskFacts(NamedTuple):
    """What is known of the files of one mask, before it was resized.

    Args:
        values: Values of its files that are not 0.
        classes: Classes of its pixels but the background.
        digest: SHA-256 of the bytes of all files, and of how they are read.
        lost: Those of `classes` that have no pixel after it was resized.
    """

    values: frozenset[int] = frozenset()
    classes: frozenset[int] = frozenset()
    digest: str = ""
    lost: frozenset[int] = frozenset()


def read_mask(
    paths: Sequence[Path],
    image: Path,
    classes: Mapping[int, int],
    *,
    size: int,
    resize: str,
    threshold: int = 0,
) -> tuple[np.ndarray, MaskFacts]:
    """Reads the mask of one image.

    Args:
        paths: At least one file. A pixel that several of them mark must have
            one class in all.
        image: The image, whose width and height the files must have.
        classes: Class of each value of the files, -1 for pixels to be ignored.
            If empty, a file has 0 for the background and one other value.
        size: Height and width that the mask gets; a pixel takes the class of
            the nearest one.
        resize: `pad`, with pixels to be ignored, or `stretch`, like the image.
        threshold: Grey level from which a pixel is 255, and 0 below; 0 for
            none.

    Returns:
        `int8`, shape `(size, size)`: the class of each pixel, or -1; and what
        is known of the files.

    Raises:
        BadImage: With the reason, if a file cannot be used.
    """
    shape = _find_shape(image)
    joined: np.ndarray | None = None
    values: set[int] = set()
    digest = hashlib.sha256()
    for path in paths:
        content = read_regular(path)
        digest.update(content)
        try:
            pixels, how = _read_values(content, is_soft=threshold > 0)
            digest.update(how)
        except (BadImage, *DAMAGE) as error:
            is_known = isinstance(error, BadImage)
            reason = str(error) if is_known else format_damage(error)
            raise BadImage(f"mask {path.name}: {reason}") from error
        if shape is not None and pixels.shape != shape:
            height, width = pixels.shape
            raise BadImage(
                f"mask {path.name} is {width}x{height} and its image "
                f"{shape[1]}x{shape[0]}"
            )
        if threshold:
            pixels = np.where(pixels >= threshold, 255, 0)
            digest.update(b"threshold %d" % threshold)
        present = {int(value) for value in np.unique(pixels)}
        values |= present - {0}
        part = _to_classes(pixels, present, classes, path)
        joined = part if joined is None else _join(joined, part, path)
    if joined is None:
        raise BadImage("no mask")
    marked = {int(value) for value in np.unique(joined)} - {0, -1}
    resized = _resize(joined, size, resize)
    facts = MaskFacts(
        frozenset(values),
        frozenset(marked),
        digest.hexdigest(),
        frozenset(marked - set(np.unique(resized).tolist())),
    )
    return resized, facts


def make_empty(image: Path, size: int, resize: str) -> np.ndarray:
    """Makes the mask of an image where nothing is marked."""
    shape = _find_shape(image) or (size, size)
    return _resize(np.zeros(shape, np.int8), size, resize)


def _find_shape(path: Path) -> tuple[int, int] | None:
    """Returns height and width of an image, `None` if it cannot be read."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if image.getexif().get(0x0112) in _TURNED:
                return width, height
            return height, width
    except DAMAGE:
        return None  # The fault is found when it is decoded.


def _read_values(content: bytes, *, is_soft: bool) -> tuple[np.ndarray, bytes]:
    """Returns the whole numbers that a file holds, one a pixel.

    They are those of the file, but for a palette of greys: programs sort such
    palettes as they like, so that the greys count.

    Args:
        content: Of the file.
        is_soft: Whether nearly grey colours are greys, as in a JPEG.

    Returns:
        The numbers, and what tells their reading from that of an index.
    """
    image = open_image(content)
    image.load()
    if image.mode == "P" and (greys := _find_greys(image)) is not None:
        indices = np.asarray(image)
        is_same = (greys[indices] == indices).all()
        return greys[indices].astype(np.int64), b"" if is_same else b"greys"
    if image.mode in ("P", "I", *GREY, *DEEP):
        values = np.asarray(image.convert("L") if image.mode == "1" else image)
        how = b"black and white" if is_black_and_white(content) else b""
        return values.astype(np.int64), how
    if image.mode not in ("LA", "PA", "RGB", "RGBA"):
        raise BadImage(
            f"mode {image.mode}, where one whole number a pixel belongs"
        )
    pixels = np.asarray(image.convert("RGBA")).astype(np.int64)
    if (pixels[..., 3] != 255).any():
        raise BadImage("transparent pixels, whose class is anything")
    spread = np.ptp(pixels[..., :3], axis=-1).max()
    if spread > (_NEARLY_GREY if is_soft else 0):
        raise BadImage(
            f"in colour (mode {image.mode}), where one number a pixel is its "
            "class; save it as grey values or with a palette"
        )
    return np.rint(pixels[..., :3].mean(axis=-1)).astype(np.int64), b""


def _find_greys(image: Image.Image) -> np.ndarray | None:
    """Returns the grey of each index; `None` if the palette has a colour."""
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if not len(palette) or (palette != palette[:, :1]).any():
        return None
    greys = np.zeros(256, np.uint8)
    greys[: len(palette)] = palette[:, 0]
    used = np.unique(np.asarray(image))
    if len(np.unique(greys[used])) < len(used):
        raise BadImage(
            f"the palette gives its values {_list(used.tolist())} the same "
            "greys; save it as grey values"
        )
    return greys


def _to_classes(
    values: np.ndarray,
    present: set[int],
    classes: Mapping[int, int],
    path: Path,
) -> np.ndarray:
    """Maps the values of a file to classes."""
    if not classes:
        if len(present - {0}) > 1:
            raise BadImage(
                f"mask {path.name} has the values {_list(present)}; say what "
                'they are: mask_values = ["0=background", ...]' + _hint(present)
            )
        return (values > 0).astype(np.int8)
    if unknown := present - set(classes):
        raise BadImage(
            f"mask {path.name} has {_list(unknown)}, where mask_values are "
            f"{_list(classes)}{_hint(present)}"
        )
    mapped = np.zeros(values.shape, np.int8)
    for value in present:
        mapped[values == value] = classes[value]
    return mapped


def _join(joined: np.ndarray, part: np.ndarray, path: Path) -> np.ndarray:
    both = (joined > 0) & (part > 0) & (joined != part)
    if both.any():
        raise BadImage(
            f"mask {path.name} has another class than the file before it for "
            f"{int(both.sum())} pixels"
        )
    # What one file ignores and another one marks is marked.
    most = np.where(joined == 0, part, np.maximum(joined, part))
    return np.where(part == 0, joined, most)


def _resize(values: np.ndarray, size: int, resize: str) -> np.ndarray:
    # One more, as a byte has no -1: 0 is to be ignored, as is all padding.
    image = Image.fromarray((values + 1).astype(np.uint8))
    nearest = Image.Resampling.NEAREST
    image = resize_image(image, size, resize, nearest, padding=0)
    return np.asarray(image).astype(np.int8) - np.int8(1)


def _list(values: object) -> str:
    """Lists values, the first dozen of many."""
    ordered = sorted(values)  # type: ignore[call-overload]
    shown = ", ".join(map(str, ordered[:_MOST_VALUES]))
    more = len(ordered) - _MOST_VALUES
    return f"{shown} and {more} more" if more > 0 else shown


def _hint(present: set[int]) -> str:
    """Says what many values may come from."""
    most = max(present)
    is_soft = most >= 255 - _SOFT and len(present) > 2
    if len(present) > _MOST_VALUES or (
        is_soft and all(v <= _SOFT or v >= most - _SOFT for v in present)
    ):
        return (
            "; were masks saved as JPEG or blurred? Then mask_threshold = 128 "
            "cuts them in two"
        )
    return ""


IGNORED = "ignore"


class Values(NamedTuple):
    """Classes of the values of masks.

    Args:
        names: Of the classes, in the order of their numbers; the first is the
            background.
        classes: Number of each value, -1 for what is ignored; empty where 0 is
            the background and one other value is not.
    """

    names: tuple[str, ...]
    classes: dict[int, int]


def read_values(options: Options) -> Values:
    """Reads `mask_values`: several values may have one name; `ignore` is none.

    Raises:
        ValueError: For what is no such text, fewer than two classes, or both.

    Example:

    >>> read_values(Options(mask_values=("0=skin", "9=mole")))
    Values(names=('skin', 'mole'), classes={0: 0, 9: 1})
    """
    texts, column = options.mask_values, options.mask_class
    if texts and column:
        raise ValueError(
            "`mask_values` and `mask_class` both say what masks mark. Expected "
            f"one of them. Received: mask_values={list(texts)}, "
            f"mask_class={column!r}."
        )
    if texts and options.mask_threshold and len({*texts}) != 2:
        raise ValueError(
            "`mask_threshold` leaves two values, 0 and 255. Expected a name of "
            f"each. Received: mask_values={list(texts)}."
        )
    if not texts:
        return Values(("background", "foreground"), {})
    pairs = [text.partition("=")[::2] for text in texts]
    names = dict.fromkeys(n for _, n in pairs if n and n != IGNORED)
    numbers = {name: at for at, name in enumerate(names)} | {IGNORED: -1}
    classes = {
        int(value): numbers[name]
        for value, name in pairs
        if value.strip().isdecimal() and name
    }
    if len(classes) < len(pairs) or len(names) < 2:
        raise ValueError(
            "`mask_values` name each value of a mask once, the background "
            'first. Expected, for example, ["0=background", "255=lesion"]. '
            f"Received: mask_values={list(texts)}."
        )
    return Values(tuple(names), classes)


def name_classes(
    values: Values, items: Sequence[Item], facts: Sequence[MaskFacts | None]
) -> tuple[str, ...]:
    """Names the mask classes: by a column of the images, or by `values`."""
    named = {
        item.mask_class
        for item, one in zip(items, facts, strict=True)
        if one is not None and one.classes and item.mask_class
    }
    return ("background", *sorted(named)) if named else values.names


def find_marking_faults(
    items: Sequence[Item],
    facts: Sequence[MaskFacts | None],
    options: Options,
) -> list[Fault]:
    """Finds masks that contradict each other, or their column of classes.

    Raises:
        ValueError: If no mask marks anything, or if it is not clear by which
            value.
    """
    known = [one for one in facts if one is not None]
    values = sorted({value for one in known for value in one.values})
    if known and not any(one.classes for one in known):
        raise ValueError(
            "No mask marks a pixel. Expected masks with a class beside the "
            f"background. Received: {len(known)} masks, all of them empty."
        )
    if len(values) > 1 and not options.mask_values:
        raise ValueError(
            f"Some masks mark by {values[0]} and others by {values[-1]}. "
            'Expected one value, or mask_values = ["0=background", '
            f'"{values[0]}=...", ...]. Received: {values}.'
        )
    column = options.mask_class
    reason = f"its mask marks pixels, but {column!r} is empty"
    return [
        Fault(item.name, reason)
        for item, one in zip(items, facts, strict=True)
        if column and one is not None and one.classes and not item.mask_class
    ]
