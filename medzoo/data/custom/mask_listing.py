"""A folder of images and masks, read as if it were a table of them."""

import bisect
import fnmatch
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medzoo.data.custom.folder import walk
from medzoo.data.custom.listing import ENDINGS, Fault, Item, Listing, name_split
from medzoo.data.custom.table import (
    Row,
    as_pattern,
    find_fault,
    names_in,
    read_rows,
    require_columns,
)

MASK_ENDINGS = (*ENDINGS, ".gif")


def patterns_of(root: Path, options: Mapping[str, Any]) -> tuple[str, str]:
    """Returns where images and masks lie in a folder.

    Raises:
        FileNotFoundError: If it has `images` and no `masks`.
    """
    if not (root / "images").is_dir():
        return "{path}", "{folder}/{stem}_mask*"
    asked = options["mask"] or options["no_mask"] != "fault"
    if not asked and not (root / "masks").is_dir():
        there = ", ".join(sorted(path.name for path in root.iterdir()))
        raise FileNotFoundError(
            f"`{root}` has a folder `images`, but no `masks`. Expected masks "
            "there, called as their images, or a pattern such as mask = "
            f'"truth/{{stem}}.png". Received: {there}.'
        )
    return "images/{path}", "masks/{folder}/{stem}.*"


def find_orphans(root: Path, listing: Listing) -> list[Fault]:
    """Finds masks whose image is lost, or called otherwise."""
    taken = {path for item in listing.items for path in item.paths[1:]}
    return [
        Fault(path.relative_to(root).as_posix(), "a mask without an image")
        for path in walk(root / "masks")
        if path.suffix.lower() in MASK_ENDINGS and path not in taken
    ]


def read_folder(
    root: Path,
) -> tuple[list[str], list[tuple[int, Row]], list[Fault]]:
    """Reads a folder as if it were a table.

    Returns:
        Columns, rows with their numbers, and faults.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no images.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"No folder `{root}`. Expected one with the folders `images` and "
            "`masks`, or a CSV file of both."
        )
    base = root / "images" if (root / "images").is_dir() else root
    files = [path.relative_to(base) for path in walk(base)]
    images = [path for path in files if path.suffix.lower() in ENDINGS]
    if not images:
        raise ValueError(
            f"`{base}` has no images. Expected files that end in "
            f"{', '.join(ENDINGS)}, at any depth. Received: {len(files)} files."
        )
    tops = {path.parts[0] for path in images if len(path.parts) > 1}
    by_split = bool(tops) and None not in map(name_split, tops)
    rows = [
        (at, _describe(path, by_split)) for at, path in enumerate(images, 1)
    ]
    columns = ["path", "folder", "name", "stem", "split", "group"]
    columns += ["label"] * any(row["label"] for _, row in rows)
    reason = f"not an image of the kinds {', '.join(ENDINGS)}"
    others = [path for path in files if path.suffix.lower() not in ENDINGS]
    prefix = base.relative_to(root)
    faults = [Fault((prefix / path).as_posix(), reason) for path in others]
    return columns, rows, faults


def _describe(path: Path, by_split: bool) -> Row:
    above = list(path.parts[:-1])
    split = above.pop(0) if by_split and above else ""
    label, group = [*above, "", ""][:2]
    return {
        "path": path.as_posix(),
        "folder": path.parent.as_posix(),
        "name": path.name,
        "stem": path.stem,
        "split": split,
        "group": group,
        "label": label,
    }


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
