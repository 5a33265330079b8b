"""Makes the cache of own data: decode, check, split, and write in order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medzoo.data.own.checks import find_class_faults, find_mixed
from medzoo.data.own.decode import Decoded, decode
from medzoo.data.own.intensity import find_ranges, to_bytes
from medzoo.data.own.items import Fault, Item, Listing, word_faults
from medzoo.data.own.manifest import (
    Manifest,
    array_path,
    make_fingerprint,
    write_rows,
)
from medzoo.data.own.notes import make_notes
from medzoo.data.own.splits import complete_splits
from medzoo.files import writing
from medzoo.tasks import SPLITS

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
            raise word_faults(
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
