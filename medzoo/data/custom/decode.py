"""All images of a source decoded into one array on disk."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from medzoo.data.custom.listing import Fault, Item
from medzoo.data.custom.pixels import BadImage, read_pixels

# Images that the threads are given at a time.
CHUNK = 4096
# A few images need no bar.
_FEW = 500


class Seen(NamedTuple):
    """What was found in the files of one image; see `Pixels`."""

    digest: str
    mode: str
    width: int
    height: int
    is_grey: bool


class Decoded(NamedTuple):
    """All images of a source.

    Args:
        images: Shape `(n, size, size, channels)`, `uint16` where files have 16
            bits, else `uint8`; rows of bad images hold anything.
        seen: What was seen of each; `None` for a bad one.
        faults: Of the bad ones.
    """

    images: np.ndarray
    seen: list[Seen | None]
    faults: list[Fault]


def decode(
    items: Sequence[Item],
    target: Path,
    *,
    size: int,
    options: Mapping[str, Any],
) -> Decoded:
    """Decodes images into a memory-mapped array.

    Args:
        items: What to read.
        target: The `.npy` file to write.
        size: Height and width that images get.
        options: All options of the source.
    """
    deep = options["intensity"] != "bytes"
    depth = len(options["channels"]) or (1 if deep else 3)
    if options["mode"] == "grey":
        depth = len(options["channels"]) or 1
    images = np.lib.format.open_memmap(
        target,
        mode="w+",
        dtype=np.uint16 if deep else np.uint8,
        shape=(len(items), size, size, depth),
    )
    seen: list[Seen | None] = [None] * len(items)
    faults: dict[int, Fault] = {}

    def read(index: int) -> None:
        try:
            found = read_pixels(
                items[index].paths,
                size=size,
                mode=options["mode"],
                resize=options["resize"],
                deep=deep,
            )
        except BadImage as bad:
            faults[index] = Fault(items[index].name, str(bad))
            return
        images[index] = found.values
        seen[index] = Seen(
            found.digest, found.mode, found.width, found.height, found.is_grey
        )

    do_all(read, len(items))
    return Decoded(images, seen, [faults[index] for index in sorted(faults)])


def do_all(read: Callable[[int], None], count: int) -> None:
    """Calls `read` for each index, on all cores, with a bar."""
    console = Console(stderr=True)
    with (
        warnings.catch_warnings(),
        Progress(console=console, transient=True, disable=count < _FEW) as bar,
        # Pillow lets go of the interpreter while it decodes and resizes.
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        task = bar.add_task("Reading images", total=count)
        for start in range(0, count, CHUNK):
            chunk = range(start, min(start + CHUNK, count))
            for _ in pool.map(read, chunk):
                bar.advance(task)


def find_mixed(
    items: Sequence[Item],
    seen: Sequence[Seen | None],
    options: Mapping[str, Any],
) -> list[Fault]:
    """Finds the grey images among coloured ones, or the reverse: the fewer.

    Args:
        items: All images.
        seen: What was seen of each.
        options: All options of the source; a `mode` other than `auto` says what
            is meant.
    """
    kinds = Counter(about.is_grey for about in seen if about is not None)
    if options["mode"] != "auto" or options["channels"] or len(kinds) < 2:
        return []
    (most, _), _ = kinds.most_common()
    what = ("in colour", "grey")
    return [
        Fault(
            item.name,
            f"{what[not most]} (mode {about.mode}), where most are "
            f'{what[most]}; say what is meant: mode = "rgb" or "grey"',
        )
        for item, about in zip(items, seen, strict=True)
        if about is not None and about.is_grey != most
    ]


def find_class_faults(items: Sequence[Item]) -> dict[int, Fault]:
    """Finds images of classes that a given train does not have, by index."""
    trained = {item.label for item in items if item.split in ("", "train")}
    trained |= {""}  # Not labelled.
    return {
        index: Fault(
            item.name,
            f"class {item.label!r} is in {item.split}, but not in train",
        )
        for index, item in enumerate(items)
        if item.label not in trained
    }


# Of the pixels of train, in percent: what lies outside is cut off.
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
