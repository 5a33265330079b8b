"""All images of a source in one array on disk, read in parallel."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from medzoo.data.own.items import Fault, Item
from medzoo.data.own.pixels import BadImage, read_pixels

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
