"""Folders of images: a sub-folder a class, or first one a split."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from medzoo.data.custom.listing import ENDINGS, Fault, Item, Listing, name_split

_CLUTTER = ("thumbs.db", "desktop.ini", "__macosx")


def list_folder(root: Path, channels: Sequence[str] = ()) -> Listing:
    """Lists `root/<class>/...` or `root/{train,val,test}/<class>/...`.

    A folder inside that of a class is a group: the images of one patient, say.

    Args:
        root: The folder.
        channels: Patterns of the files of one image with `{id}` in the place of
            what they share, such as `{id}_red.png`; else a file is an image.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no folders of classes.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"No folder `{root}`. Expected one with a sub-folder a class."
        )
    folders = _folders(root)
    splits = [name_split(folder.name) for folder in folders]
    by_split = "train" in splits and None not in splits
    listing = Listing()
    for folder, split in zip(folders, splits, strict=True):
        classes = _folders(folder) if by_split else [folder]
        for part in classes:
            split_name = str(split) if by_split else ""
            _list_class(listing, root, part, split_name, channels)
    if not folders:
        raise ValueError(
            f"`{root}` has no folders of classes. Expected <class>/*.png or "
            "train/<class>/*.png in it. Received: "
            f"{len(list(root.iterdir()))} files. A table of labels is given as "
            "csv:FILE."
        )
    return listing


def _folders(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if path.is_dir())
    return sorted(path for path in found if not _is_clutter(path.name))


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _CLUTTER


def _list_class(
    listing: Listing,
    root: Path,
    folder: Path,
    split: str,
    channels: Sequence[str],
) -> None:
    paths = list(walk(folder))
    found = 0
    for name, files in _join(folder, paths, channels, listing.faults, root):
        inner = files[0].relative_to(folder).parts
        group = inner[0] if len(inner) > 1 else ""
        item = Item(_relative(name, root), files, folder.name, split, group)
        listing.items.append(item)
        found += 1
    if not found:
        listing.empty_classes.append(_relative(folder, root))


def walk(folder: Path) -> Iterator[Path]:
    """Yields the files in a folder at any depth, but for clutter."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_clutter(name))
        for name in sorted(files):
            if not _is_clutter(name):
                yield Path(parent, name)


def _join(
    folder: Path,
    paths: list[Path],
    channels: Sequence[str],
    faults: list[Fault],
    root: Path,
) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """Yields each image of a class with its files."""
    if not channels:
        for path in paths:
            if path.suffix.lower() in ENDINGS:
                yield path, (path,)
            else:
                reason = f"not an image of the kinds {', '.join(ENDINGS)}"
                faults.append(Fault(_relative(path, root), reason))
        return
    there = set(paths)
    keys: dict[tuple[Path, str], None] = {}
    for pattern in channels:
        shape = re.escape(pattern).replace(r"\{id\}", "(.+)")
        for path in paths:
            if match := re.fullmatch(shape, path.name):
                keys.setdefault((path.parent, match[1]))
    for parent, key in sorted(keys):
        files = tuple(parent / p.replace("{id}", key) for p in channels)
        missing = [file for file in files if file not in there]
        faults += [Fault(_relative(f, root), "missing") for f in missing]
        if not missing:
            yield parent / key, files


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
