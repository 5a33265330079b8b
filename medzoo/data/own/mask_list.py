"""Images with masks as they are listed: of a CSV file, or of two folders."""

import bisect
import fnmatch
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medzoo.data.own.items import Fault, Item, Listing, name_split
from medzoo.data.own.mask_folder import (
    MASK_ENDINGS,
    find_orphans,
    patterns_of,
    read_folder,
)
from medzoo.data.own.table import (
    Row,
    as_pattern,
    find_fault,
    names_in,
    read_rows,
    require_columns,
)

_WAY_OUT = (
    "Set `path`, `mask`, `label` or `mask_class` to what there is, as a name "
    "of a column or a pattern such as `masks/{stem}_mask*.png`."
)


def list_masks(path: Path, options: Mapping[str, Any]) -> Listing:
    """Lists images, each with the files of its mask.

    A CSV file has its columns. A folder is read as if it were one: each image
    has a `path`, its `folder`, `name` and `stem`, and a `label`, `split` and
    `group` if sub-folders say so, as for images without masks. Images lie in
    `images/` and masks called alike in `masks/`; without these folders, the
    mask of `x.png` is every file beside it that begins with `x_mask`.

    Args:
        path: A CSV file or a folder.
        options: All options of the source: `path` and `mask` are columns, or
            patterns with columns in braces; a mask may have `*`, or several
            paths with `|` between, for files that are joined to one mask.

    Returns:
        Items whose paths are an image and the files of its mask. One without
        any is not known, or empty where `no_mask` says so.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it is no CSV file, or lacks a column.
    """
    is_table = path.is_file() or path.suffix == ".csv"
    columns, rows, faults = (_read_table if is_table else read_folder)(path)
    defaults = ("path", "mask") if is_table else patterns_of(path, options)
    image, mask = (
        as_pattern(options[key] or default, columns)
        for key, default in zip(("path", "mask"), defaults, strict=True)
    )
    # These are taken where they exist; named otherwise, they have to exist.
    asked = {key: options[key] for key in ("label", "split", "group")}
    needed = {name for key, name in asked.items() if name not in ("", key)}
    needed |= {*names_in(image), *names_in(mask), options["mask_class"]} - {""}
    require_columns(path, needed, columns, _WAY_OUT)
    root = (path.parent if is_table else path) / options["root"]
    lister = _Lister(root, image, mask, options, Listing(faults=faults))
    for where, row in rows:
        lister.add(where, row)
    if is_table:
        return lister.listing
    listing = lister.without_masks_of_others()
    if not options["mask"] and (path / "masks").is_dir():
        listing.faults.extend(find_orphans(path, listing))
    return listing


class _Lister:
    """Turns rows into items, or into faults."""

    def __init__(
        self,
        root: Path,
        image: str,
        mask: str,
        options: Mapping[str, Any],
        listing: Listing,
    ) -> None:
        self.root, self.image, self.mask = root, image, mask
        self.options, self.listing = options, listing
        self._seen: dict[tuple[str, ...], int] = {}
        self._files: dict[str, list[str]] = {}

    def add(self, number: int, row: Row) -> None:
        """Adds the item of a row, or its fault."""
        name = self.image.format_map(row)
        split = row.get(self.options["split"], "").strip()
        fault = find_fault(self.root, (name,), self._seen)
        if split and name_split(split) is None:
            fault = fault or f"split {split!r}, where train, val or test belong"
        masks: list[str] = []
        if fault is None:
            masks, fault = self._find_masks(row)
        label = row.get(self.options["label"], "").strip()
        empty = masks or self.options["no_mask"] == "empty"
        if not (fault or empty or label):
            fault = "neither a mask nor a label"
        if fault:
            self.listing.faults.append(Fault(name or f"line {number}", fault))
            return
        self._seen[name,] = number
        self.listing.items.append(
            Item(
                name,
                tuple(self.root / part for part in (name, *masks)),
                label,
                name_split(split) or "",
                row.get(self.options["group"], "").strip(),
                row.get(self.options["mask_class"], "").strip(),
            )
        )

    def without_masks_of_others(self) -> Listing:
        """Leaves out images that are masks of other ones."""
        items = self.listing.items
        masks = {path for item in items for path in item.paths[1:]}
        self.listing.items = [i for i in items if i.paths[0] not in masks]
        names = {path.relative_to(self.root).as_posix() for path in masks}
        self.listing.faults = [
            fault for fault in self.listing.faults if fault.name not in names
        ]
        return self.listing

    def _find_masks(self, row: Row) -> tuple[list[str], str | None]:
        """Finds the files of a mask, or says what is wrong with them."""
        escaped = {key: text.replace("[", "[[]") for key, text in row.items()}
        text = self.mask.format_map(escaped).strip()
        found: list[str] = []
        for part in filter(None, map(str.strip, text.split("|"))):
            pattern = os.path.normpath(part)
            matches = self._match(pattern)
            if not matches and self.options["no_mask"] == "fault":
                meant = pattern.replace("[[]", "[")
                return [], (
                    f"no mask {meant}; if it is meant to have none, say "
                    'no_mask = "unlabelled" or "empty"'
                )
            found += matches
        fault = find_fault(self.root, tuple(found), {}) if found else None
        if self.image.format_map(row) in found:
            fault = "the image itself"
        return found, fault and f"mask: {fault}"

    def _match(self, pattern: str) -> list[str]:
        """Lists the files that a pattern means; only names may have a `*`."""
        folder, name = os.path.split(pattern)
        folder = folder.replace("[[]", "[")
        if folder not in self._files:
            whole = self.root / folder
            names = os.listdir(whole) if whole.is_dir() else []
            self._files[folder] = sorted(names)
        names = self._files[folder]
        # Names that begin alike lie beside each other.
        start = name.replace("[[]", "[").partition("*")[0].partition("?")[0]
        found = []
        for at in range(bisect.bisect_left(names, start), len(names)):
            if not names[at].startswith(start):
                break
            is_image = names[at].lower().endswith(MASK_ENDINGS)
            if is_image and fnmatch.fnmatchcase(names[at], name):
                found.append(os.path.join(folder, names[at]))
        return found


def _read_table(
    path: Path,
) -> tuple[list[str], list[tuple[int, Row]], list[Fault]]:
    columns, rows = read_rows(path)
    reason = f"not the {len(columns)} cells of the first line"
    bad = {at for at, row in rows if None in row or None in row.values()}
    faults = [Fault(f"line {at}", reason) for at in sorted(bad)]
    return columns, [row for row in rows if row[0] not in bad], faults
