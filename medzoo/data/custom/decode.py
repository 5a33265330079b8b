"""All images and masks of a source decoded into arrays on disk."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from PIL import Image
from rich.progress import Progress

from medzoo.console import PlainConsole
from medzoo.data.custom.listing import Item
from medzoo.data.custom.masks import (
    MaskFacts,
    make_empty,
    read_mask,
    read_values,
)
from medzoo.data.custom.options import Options
from medzoo.data.custom.pixels import ImageFacts, read_pixels
from medzoo.data.custom.table import BadImage, Fault
from medzoo.data.npz import create_array

# Images that the threads are given at a time.
_CHUNK = 4096
# A few images need no bar.
_FEW = 500


Facts = TypeVar("Facts", ImageFacts, MaskFacts)


class Decoded(NamedTuple, Generic[Facts]):
    """All images of a source, or all masks.

    Args:
        values: Of images, shape `(n, size, size, channels)`, `uint16` where
            files have 16 bits, else `uint8`; of masks, `(n, size, size)`,
            `int8`. Rows of bad ones hold anything.
        facts: Of each; `None` for a bad image and an unknown mask.
        faults: Of the bad ones.
    """

    values: np.ndarray
    facts: list[Facts | None]
    faults: list[Fault]


Images = Decoded[ImageFacts]
Masks = Decoded[MaskFacts]


def decode_images(
    items: Sequence[Item], target: Path, options: Options
) -> Images:
    """Decodes images into a memory-mapped array in the file `target`."""
    deep, size = options.intensity != "bytes", options.size
    depth = 1 if deep or options.mode == "grey" else 3
    if len(options.channels) > 1:  # A file a channel.
        depth = len(options.channels)
    values = create_array(
        target,
        np.uint16 if deep else np.uint8,
        (len(items), size, size, depth),
    )
    facts: list[ImageFacts | None] = [None] * len(items)

    def read(at: int) -> None:
        values[at], facts[at] = read_pixels(
            items[at].paths,
            size=size,
            mode=options.mode,
            resize=options.resize,
            deep=deep,
        )

    return Images(values, facts, _read_all(read, items))


def decode_slices(
    items: Sequence[Item], target: Path, options: Options
) -> tuple[Images, list[Item]]:
    """Decodes DICOM or NIfTI files like images.

    Returns:
        The images; and the items, whose groups are numbers.
    """
    from medzoo.data.custom.medical import keep_quiet, read_medical

    depth = 1 if options.mode == "grey" else 3
    shape = len(items), options.size, options.size, depth
    values = create_array(target, np.uint8, shape)
    facts: list[ImageFacts | None] = [None] * len(items)
    keys: list[Hashable] = [item.group or None for item in items]

    def read(at: int) -> None:
        found = read_medical(items[at].paths[0], options)
        values[at], facts[at], key = found
        if options.group_by != "none":
            keys[at] = key

    with keep_quiet():
        faults = _read_all(read, items)
    numbers: dict[Hashable, str] = {None: ""}
    for key in keys:
        numbers.setdefault(key, f"{len(numbers)}")
    return Images(values, facts, faults), [
        item._replace(group=numbers[key])
        for item, key in zip(items, keys, strict=True)
    ]


def decode_masks(
    items: Sequence[Item], target: Path, options: Options
) -> Masks:
    """Decodes masks into a memory-mapped array in the file `target`."""
    classes = read_values(options).classes
    shape = len(items), options.size, options.size
    values = create_array(target, np.int8, shape)
    is_empty = options.no_mask == "empty"
    none = MaskFacts() if is_empty else None
    facts: list[MaskFacts | None] = [none] * len(items)

    def read(at: int) -> None:
        image = items[at].paths[0]
        if not items[at].masks:
            values[at] = -1
            if is_empty:
                values[at] = make_empty(image, options.size, options.resize)
            return
        values[at], facts[at] = read_mask(
            items[at].masks,
            image,
            classes,
            size=options.size,
            resize=options.resize,
            threshold=options.mask_threshold,
        )

    return Masks(values, facts, _read_all(read, items))


def _read_all(
    read: Callable[[int], None], items: Sequence[Item]
) -> list[Fault]:
    """Calls `read` for each index, on all cores, with a bar."""
    console = PlainConsole(stderr=True)
    count = len(items)
    faults: dict[int, Fault] = {}

    def check(at: int) -> None:
        try:
            read(at)
        except BadImage as bad:
            faults[at] = Fault(items[at].name, str(bad))

    with (
        warnings.catch_warnings(),
        Progress(console=console, transient=True, disable=count < _FEW) as bar,
        # Pillow lets go of the interpreter while it decodes and resizes.
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        task = bar.add_task("Reading images", total=count)
        for start in range(0, count, _CHUNK):
            for _ in pool.map(check, range(start, min(start + _CHUNK, count))):
                bar.advance(task)
    return [faults[at] for at in sorted(faults)]


def find_mixed(
    items: Sequence[Item],
    facts: Sequence[ImageFacts | None],
    options: Options,
) -> list[Fault]:
    """Finds the grey images among coloured ones, or the reverse: the fewer.

    A `mode` other than `auto` says what is meant.
    """
    kinds = Counter(one.is_grey for one in facts if one is not None)
    several = len(options.channels) > 1
    if options.mode != "auto" or several or len(kinds) < 2:
        return []
    (most, _), _ = kinds.most_common()
    what = ("in colour", "grey")
    return [
        Fault(
            item.name,
            f"{what[not most]} (mode {one.mode}), where most are "
            f'{what[most]}; say what is meant: mode = "rgb" or "grey"',
        )
        for item, one in zip(items, facts, strict=True)
        if one is not None and one.is_grey != most
    ]
