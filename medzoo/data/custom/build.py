"""The cache of custom data: decoded, checked, split and written."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medzoo.data.custom.decode import (
    HIGH,
    LOW,
    Decoded,
    decode,
    do_all,
    find_class_faults,
    find_mixed,
    find_ranges,
    to_bytes,
)
from medzoo.data.custom.listing import Fault, Item, Listing, format_faults
from medzoo.data.custom.manifest import (
    Manifest,
    array_path,
    make_fingerprint,
    masks_path,
    read_rows,
    write_rows,
)
from medzoo.data.custom.masks import (
    Marks,
    find_marking_faults,
    name_classes,
    read_mask,
    read_values,
)
from medzoo.data.custom.pixels import BadImage
from medzoo.data.custom.splits import complete_splits
from medzoo.files import writing
from medzoo.tasks import SPLITS


def make_notes(
    items: Sequence[Item],
    counts: Counter[str],
    num_bad: int,
    options: Mapping[str, Any],
    ranges: Sequence[tuple[int, int]] | None,
) -> list[str]:
    """Words how images were split, what was left out, and what became of 16
    bits.

    Args:
        items: The images that are used.
        counts: Of the splits.
        num_bad: Faults that were passed over.
        options: All options of the source.
        ranges: Values that became 0 and 255 of each channel, if any.
    """
    notes = [_format_split(items, counts, options)]
    if num_bad:
        notes.append(
            f"{num_bad} bad file{'s' * (num_bad > 1)}, rows or classes were "
            "left out (skip_bad)."
        )
    if ranges:
        rule = "0 to 65535"
        if options["intensity"] == "percentile":
            rule = f"percentiles {LOW} to {HIGH} of train"
        shown = ", ".join(f"{low} to {high}" for low, high in ranges)
        notes.append(f"16-bit values by channel: {rule}, {shown}, to 0 to 255.")
    return notes


def _format_split(
    items: Sequence[Item], counts: Counter[str], options: Mapping[str, Any]
) -> str:
    sizes = ", ".join(f"{split} {counts[split]}" for split in SPLITS)
    given = {item.split for item in items}
    if given == set(SPLITS):
        return f"Split as given: {sizes}."
    drawn = " and ".join(split for split in SPLITS[1:] if split not in given)
    what = "Split" if given == {""} else f"Split of {drawn}"
    groups = len({item.group for item in items} - {""})
    by_group = f" and {groups} groups kept whole" if groups else ""
    return (
        f"{what} drawn here by class{by_group}, seed "
        f"{options['split_seed']}: {sizes}."
    )


COLUMNS = (
    "split", "label", "group", "path", "mode", "width", "height", "sha256",
)  # fmt: skip
_CHUNK = 256


def build(
    listing: Listing,
    stamp: str,
    folder: Path,
    size: int,
    options: Mapping[str, Any],
) -> Manifest:
    """Decodes the images of a listing and writes all files of their cache.

    Args:
        listing: What there is.
        stamp: Goes into the manifest.
        folder: Where the files go.
        size: Height and width of the images.
        options: All options of the source.

    Raises:
        FileNotFoundError: If there is no room.
        ValueError: With a line for each bad file, row or class.
    """
    raw = folder / "raw.npy"
    with writing(folder):
        try:
            decoded = decode(listing.items, raw, size=size, options=options)
            chosen = _choose(listing, decoded, folder, options)
            return _write(decoded, chosen, stamp, folder, size, options)
        finally:
            raw.unlink(missing_ok=True)


class _Chosen:
    """The images that are used, in the order of the cache.

    Args:
        items: Of the whole listing.
        kept: Indices of those that are good.
        splits: Of each of them.
        num_bad: Faults that were passed over.
    """

    def __init__(
        self,
        items: Sequence[Item],
        kept: Sequence[int],
        splits: Sequence[str],
        num_bad: int,
    ) -> None:
        order = sorted(
            range(len(kept)), key=lambda at: (SPLITS.index(splits[at]), at)
        )
        self.indices = np.array([kept[at] for at in order])
        self.items = [items[index] for index in self.indices]
        self.splits = [splits[at] for at in order]
        self.num_bad = num_bad

    @property
    def classes(self) -> list[str]:
        """Names of the classes; those that are numbers in their order."""
        names = {item.label for item in self.items} - {""}
        if all(name.isdecimal() for name in names):
            return sorted(names, key=int)
        return sorted(names)


def _choose(
    listing: Listing,
    decoded: Decoded,
    folder: Path,
    options: Mapping[str, Any],
) -> _Chosen:
    """Leaves out what is bad, or raises with all of it."""
    items = listing.items
    faults = [
        *listing.faults,
        *(Fault(name, "a class of no image") for name in listing.empty_classes),
        *decoded.faults,
        *find_mixed(items, decoded.seen, options),
    ]
    bad = {fault.name for fault in faults}
    kept = [
        index
        for index, seen in enumerate(decoded.seen)
        if seen is not None and items[index].name not in bad
    ]
    given = [items[index] for index in kept]
    late = find_class_faults(given)
    faults += late.values()
    if faults:
        path = folder / "faults.csv"
        write_rows(path, ("what", "fault"), faults)
        if not options["skip_bad"]:
            raise format_faults(
                "These data cannot be used as they are",
                faults,
                "Mend them, or pass --skip-bad (`skip_bad = true`) to leave "
                "them out; the count is then in every table. All are in "
                f"{path}.",
            )
    good = [at for at in range(len(kept)) if at not in late]
    splits = complete_splits([given[at] for at in good], options)
    return _Chosen(
        items,
        [kept[at] for at in good],
        splits,
        len(faults),
    )


def _write(
    decoded: Decoded,
    chosen: _Chosen,
    stamp: str,
    folder: Path,
    size: int,
    options: Mapping[str, Any],
) -> Manifest:
    """Writes array, rows and manifest, the manifest last."""
    seen = [decoded.seen[index] for index in chosen.indices]
    rows = [
        (split, item.label, item.group, item.name, *about[1:4], about.digest)
        for split, item, about in zip(
            chosen.splits, chosen.items, seen, strict=True
        )
        if about is not None
    ]
    fingerprint = make_fingerprint(
        # Groups decide what `drop_leaks` leaves out.
        [(row[0], row[1], row[-1], *filter(None, row[2:3])) for row in rows],
        size,
        options,
    )
    is_grey = options["mode"] == "auto" and all(s and s.is_grey for s in seen)
    ranges = None
    if options["intensity"] != "bytes":
        train = chosen.indices[: chosen.splits.count("train")]
        ranges = find_ranges(decoded.images, train, options["intensity"])
    path = array_path(folder, fingerprint)
    shape = _write_images(path, decoded.images, chosen.indices, is_grey, ranges)
    write_rows(folder / "images.csv", COLUMNS, rows)
    counts = Counter(chosen.splits)
    manifest = Manifest(
        stamp=stamp,
        fingerprint=fingerprint,
        classes=chosen.classes,
        channels=shape[-1],
        num_images={split: counts[split] for split in SPLITS},
        notes=make_notes(chosen.items, counts, chosen.num_bad, options, ranges),
        ranges=ranges or [],
    )
    manifest.write(folder / "manifest.json")
    for stale in set(folder.glob("own-*.npy")) - {path}:
        stale.unlink()
    return manifest


def _write_images(
    path: Path,
    images: np.ndarray,
    indices: np.ndarray,
    is_grey: bool,
    ranges: list[tuple[int, int]] | None,
) -> tuple[int, ...]:
    """Copies images in their order, chunk by chunk; returns the shape."""
    depth = 1 if is_grey else images.shape[-1]
    # Models take grey or colour: a third channel beside two stays black.
    shape = (len(indices), *images.shape[1:3], 3 if depth == 2 else depth)
    part = path.with_name(f"{path.name}.part")
    target = np.lib.format.open_memmap(
        part, mode="w+", dtype=np.uint8, shape=shape
    )
    for start in range(0, len(indices), _CHUNK):
        rows = slice(start, start + _CHUNK)
        values = images[indices[rows]][..., :depth]
        if ranges is not None:
            values = to_bytes(values, ranges[:depth])
        target[rows, ..., :depth] = values
    target.flush()
    part.replace(path)
    return shape


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
            return _write_masks(listing, masks, images, folder, size, options)
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
            label=f"{label} {item.mask_class} {mark and sorted(mark.classes)}"
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


def _write_masks(
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
    named = [(item.mask_class,) for item in items]
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
        if item.mask_class in masks.names:
            target[row][mask == 1] = masks.names.index(item.mask_class)
    target.flush()
    array_path(folder, images.fingerprint).replace(
        array_path(folder, fingerprint)
    )
    counts = Counter(images.num_images)
    format_split = make_notes(items, counts, 0, options, None)
    manifest = dataclasses.replace(
        images,
        fingerprint=fingerprint,
        classes=images.classes or list(PRESENCE),
        mask_classes=list(masks.names),
        notes=[
            *format_split,
            *images.notes[1:],
            _format_masks(masks.names, marks),
        ],
    )
    manifest.write(folder / "manifest.json")
    return manifest


def _format_masks(names: Sequence[str], marks: Sequence[Marks | None]) -> str:
    known = [mark for mark in marks if mark is not None]
    marked = sum(bool(mark.classes) for mark in known)
    lost = len(marks) - len(known)
    return (
        f"Masks of {', '.join(names)}: {marked} mark something, "
        f"{len(known) - marked} are empty{f', {lost} unknown' * bool(lost)}."
    )
