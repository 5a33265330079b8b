"""Folders as tables of their images, with what sub-folders say of them."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from medzoo.data.custom.layout import (
    refuse_masks,
    require_classes,
    require_images,
)
from medzoo.data.custom.table import Fault, Row, Table, name_split
from medzoo.data.custom.walk import (
    ENDINGS,
    is_image,
    list_endings,
    list_files,
    list_folders,
    walk,
)


def read_class_folders(
    root: Path, channels: Sequence[str] = (), kind: str = ""
) -> Table:
    """Reads `root/<class>/...` or `root/{train,val,test}/<class>/...`.

    A folder inside that of a class is a group, such as a patient, but for one
    of the same name in each class, such as `images`, in which all of it lies.

    Args:
        root: The folder.
        channels: Patterns of the files of one image with `{id}` in the place of
            what they share, such as `{id}_red.png`; else a file is an image.
        kind: `dicom` or `nifti` for files of that kind.

    Returns:
        A table with the columns of `read_image_folder`, and `id`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no folders of classes, or another layout.
    """
    by_split = require_classes(root)
    above = list_folders(root) if by_split else [root]
    folders = [part for each in above for part in list_folders(each)]
    found: list[Path] = []
    faults = [
        Fault(path.relative_to(root).as_posix(), "in no folder of a class")
        for each in dict.fromkeys([root, *above])
        for path in list_files(each)
        if is_image(path, kind)
    ]
    reason = f"not an image of the kinds {', '.join(list_endings(kind))}"
    for folder in folders:
        files = [path.relative_to(root) for path in walk(folder)]
        if channels:
            images = _join_channels(files, channels)
        else:
            images = [path for path in files if is_image(path, kind)]
            refuse_masks(root, images, kind)
            others = [path for path in files if not is_image(path, kind)]
            faults += [Fault(path.as_posix(), reason) for path in others]
        found += images
        if not images:
            name = folder.relative_to(root).as_posix()
            faults.append(Fault(name, "a class of no image"))
    at = _find_group_level(found, by_split)
    rows = [_describe(path, by_split, at) for path in found]
    named = [(row["path"], row | {"id": row["name"]}) for row in rows]
    return Table(root, [*_describe(Path("x"), False), "id"], named, faults)


def read_image_folder(root: Path, *, have_labels: bool = True) -> Table:
    """Reads a folder of images beside masks: all files of `root/images`.

    Args:
        root: The folder.
        have_labels: Whether its folders are read as classes.

    Returns:
        A table of each image's `path`, its `folder`, `name` and `stem`, and
        what sub-folders say: `split`, `group` and, if any does, `label`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no images, or another layout.
    """
    base = require_images(root, have_labels=have_labels)
    files = [path.relative_to(base) for path in walk(base)]
    images = [path for path in files if is_image(path)]
    if not images:
        raise ValueError(
            f"`{base}` has no images. Expected files that end in "
            f"{', '.join(ENDINGS)}, at any depth. Received: {len(files)} files."
        )
    tops = {path.parts[0] for path in images if len(path.parts) > 1}
    by_split = bool(tops) and None not in map(name_split, tops)
    rows = [_describe(path, by_split) for path in images]
    prefix = base.relative_to(root)
    others = [(prefix / path).as_posix() for path in files]
    reason = f"not an image of the kinds {', '.join(ENDINGS)}"
    columns = [name for name in rows[0] if name != "label"]
    return Table(
        root,
        columns + ["label"] * any(row["label"] for row in rows),
        [(row["path"], row) for row in rows],
        [Fault(name, reason) for name in others if not is_image(name)],
    )


def _join_channels(files: list[Path], channels: Sequence[str]) -> list[Path]:
    """Lists the images that have a file of any channel."""
    images = set()
    for pattern in channels:
        if "{id}" not in pattern:
            raise ValueError(
                "`channels` name the files of an image by what they share. "
                "Expected, for example, `{id}_red.png`. Received: "
                f"{pattern!r}."
            )
        shape = re.escape(pattern).replace(r"\{id\}", "(.+)")
        for path in files:
            if match := re.fullmatch(shape, path.name):
                images.add(path.parent / match[1])
    return sorted(images, key=lambda path: (path.parent, path.name))


def _find_group_level(paths: Sequence[Path], by_split: bool) -> int:
    """Returns how many folders lie between those of a class and of a group."""
    above = [path.parts[1 + by_split : -1] for path in paths]
    shared = os.path.commonprefix(above)
    classes = {path.parts[: 1 + by_split] for path in paths}
    return len(shared) if len(classes) > 1 else 0


def _describe(path: Path, by_split: bool, between: int = 0) -> Row:
    """Reads split, class and group off the folders of an image."""
    above = list(path.parts[:-1])
    split = above.pop(0) if by_split and above else ""
    label, group = [*above[:1], *above[1 + between :], "", ""][:2]
    return {
        "path": path.as_posix(),
        "folder": path.parent.as_posix(),
        "name": path.name,
        "stem": path.stem,
        "split": split,
        "group": group,
        "label": label,
    }
