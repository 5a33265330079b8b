"""A folder of images and masks, read as if it were a table of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medzoo.data.own.folder import walk
from medzoo.data.own.items import ENDINGS, Fault, Listing, name_split
from medzoo.data.own.table import Row

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
