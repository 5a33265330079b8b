"""Makes the cache of images with masks: masks first, then as without them."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medzoo.data.own.build import build
from medzoo.data.own.decode import do_all
from medzoo.data.own.items import Fault, Item, Listing
from medzoo.data.own.manifest import (
    Manifest,
    array_path,
    make_fingerprint,
    masks_path,
    read_rows,
)
from medzoo.data.own.mask_classes import (
    find_marking_faults,
    name_classes,
    read_values,
)
from medzoo.data.own.mask_pixels import Marks, read_mask
from medzoo.data.own.notes import make_notes
from medzoo.data.own.pixels import BadImage
from medzoo.data.own.splits import complete_splits
from medzoo.files import writing

# Labels of images that have no others: whether their mask marks anything.
PRESENCE = ("absent", "present")


class _Masks(NamedTuple):
    """The masks of a listing.

    Args:
        values: `int8`, shape `(n, size, size)`; rows of bad ones hold anything.
        marks: Of each image; `None` where its mask is not known.
        names: Of the classes of pixels.
        faults: Of the bad ones.
    """

    values: np.ndarray
    marks: list[Marks | None]
    names: tuple[str, ...]
    faults: list[Fault]


def build_masks(
    listing: Listing,
    stamp: str,
    folder: Path,
    size: int,
    options: Mapping[str, Any],
) -> Manifest:
    """Decodes images and masks, and writes all files of their cache.

    Args:
        listing: What there is; the paths of an item are an image and the files
            of its mask.
        stamp: Goes into the manifest.
        folder: Where the files go.
        size: Height and width of images and masks.
        options: All options of the source.

    Raises:
        FileNotFoundError: If there is no room.
        ValueError: With a line for each bad file, row or class.
    """
    raw = folder / "masks.raw.npy"
    with writing(folder):
        try:
            masks = _decode(listing, raw, size, options)
            images = build(
                _without_masks(listing, masks, options),
                "",  # Nothing is complete before the masks are.
                folder,
                size,
                {**options, "channels": ()},
            )
            images = dataclasses.replace(images, stamp=stamp)
            return _write(listing, masks, images, folder, size, options)
        finally:
            raw.unlink(missing_ok=True)


def _decode(
    listing: Listing, target: Path, size: int, options: Mapping[str, Any]
) -> _Masks:
    """Reads all masks into a memory-mapped array."""
    values = read_values(options)
    items = listing.items
    array = np.lib.format.open_memmap(
        target, mode="w+", dtype=np.int8, shape=(len(items), size, size)
    )
    is_empty = options["no_mask"] == "empty"
    marks: list[Marks | None] = [Marks() if is_empty else None] * len(items)
    faults: dict[int, Fault] = {}

    def read(at: int) -> None:
        if not items[at].paths[1:]:
            array[at] = 0 if is_empty else -1
            return
        try:
            array[at], marks[at] = read_mask(
                items[at].paths,
                values.classes,
                size=size,
                resize=options["resize"],
            )
        except BadImage as bad:
            faults[at] = Fault(items[at].name, str(bad))

    do_all(read, len(items))
    names = name_classes(values, items, marks)
    found = [faults[at] for at in sorted(faults)]
    if options["skip_bad"] or not found:  # Files are told first.
        found += find_marking_faults(items, marks, options)
    return _Masks(array, marks, names, found)


def _without_masks(
    listing: Listing, masks: _Masks, options: Mapping[str, Any]
) -> Listing:
    """Lists the good images, each with its label and its split."""
    faults = [*listing.faults, *masks.faults]
    bad = {fault.name for fault in faults}
    good = [
        (item, mark)
        for item, mark in zip(listing.items, masks.marks, strict=True)
        if item.name not in bad
    ]
    labels = _label(good)
    # Classes of pixels keep their shares as well.
    strata = [
        item._replace(
            label=f"{label} {item.segment} {mark and sorted(mark.classes)}"
        )
        for label, (item, mark) in zip(labels, good, strict=True)
    ]
    splits = [item.split for item in strata]
    if options["skip_bad"] or not faults:  # They are told first.
        splits = complete_splits(strata, options)
    items = [
        item._replace(paths=item.paths[:1], label=label, split=split)
        for label, split, (item, _) in zip(labels, splits, good, strict=True)
    ]
    return Listing(items, faults)


def _label(good: Sequence[tuple[Item, Marks | None]]) -> list[str]:
    """Returns the labels as given, or whether masks mark anything.

    Where all of them do, there is nothing to learn: no image is labelled.
    """
    given = [item.label for item, _ in good]
    if any(given):
        return given
    found = [
        "" if mark is None else PRESENCE[bool(mark.classes)] for _, mark in good
    ]
    return found if set(PRESENCE) <= set(found) else [""] * len(good)


def _write(
    listing: Listing,
    masks: _Masks,
    images: Manifest,
    folder: Path,
    size: int,
    options: Mapping[str, Any],
) -> Manifest:
    """Writes masks in the order of images, and the manifest of both."""
    places = {item.name: at for at, item in enumerate(listing.items)}
    order = [places[row["path"]] for row in read_rows(folder / "images.csv")]
    items = [listing.items[at] for at in order]
    marks = [masks.marks[at] for at in order]
    values = sorted(read_values(options).classes.items())
    digests = [(mark.digest if mark else "-",) for mark in marks]
    named = [(item.segment,) for item in items]
    fingerprint = make_fingerprint(
        [(images.fingerprint, repr(values)), *digests, *named], size, options
    )
    target = np.lib.format.open_memmap(
        masks_path(folder, fingerprint),
        mode="w+",
        dtype=np.int8,
        shape=(len(order), size, size),
    )
    for row, (at, item) in enumerate(zip(order, items, strict=True)):
        target[row] = mask = masks.values[at]
        if item.segment in masks.names:
            target[row][mask == 1] = masks.names.index(item.segment)
    target.flush()
    array_path(folder, images.fingerprint).replace(
        array_path(folder, fingerprint)
    )
    counts = Counter(images.num_images)
    word_split = make_notes(items, counts, 0, options, None)
    manifest = dataclasses.replace(
        images,
        fingerprint=fingerprint,
        classes=images.classes or list(PRESENCE),
        segments=list(masks.names),
        notes=[*word_split, *images.notes[1:], _word_masks(masks.names, marks)],
    )
    manifest.write(folder / "manifest.json")
    return manifest


def _word_masks(names: Sequence[str], marks: Sequence[Marks | None]) -> str:
    known = [mark for mark in marks if mark is not None]
    marked = sum(bool(mark.classes) for mark in known)
    lost = len(marks) - len(known)
    return (
        f"Masks of {', '.join(names)}: {marked} mark something, "
        f"{len(known) - marked} are empty{f', {lost} unknown' * bool(lost)}."
    )
