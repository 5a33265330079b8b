"""Folders and CSV files as tables: a row an image, with the columns it has."""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_CLUTTER = ("thumbs.db", "desktop.ini", "__macosx")
# Other common names of the splits.
_SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_NO_IMAGE = f"not an image of the kinds {', '.join(ENDINGS)}"

Row = dict[str, str]


class Fault(NamedTuple):
    """A file, row or class that cannot be used, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class Table(NamedTuple):
    """A source of images as a table.

    Args:
        path: The folder or CSV file.
        columns: Names of the columns.
        rows: By the number of their line, or by the path of their image.
        faults: Files and lines that are no row.
    """

    path: Path
    columns: list[str]
    rows: list[tuple[str, Row]]
    faults: list[Fault]

    @property
    def is_folder(self) -> bool:
        return self.path.is_dir()


def name_split(text: str) -> str | None:
    """Returns the split that a name means; `None` if it means none.

    Example:

    >>> name_split("Validation"), name_split("cats")
    ('val', None)
    """
    return _SPLITS.get(text.strip().lower())


def read_csv(path: Path) -> Table:
    """Reads a CSV file in UTF-8, with commas, semicolons or tabs.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no CSV file, or has no rows.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No file `{path}`. Expected a CSV file of paths and labels."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`{path}` is not text in UTF-8 ({error.reason} at byte "
            f"{error.start}). Save it as CSV UTF-8."
        ) from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter, strict=True)
    try:
        rows = [(f"line {reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise ValueError(
            f"`{path}`, line {reader.line_num}: no CSV ({error})."
        ) from None
    columns = [str(name) for name in reader.fieldnames or []]
    if not rows:
        raise ValueError(
            f"`{path}` has no rows. Expected a line of column names, such as "
            f"`path,label`, and a line an image. Received: {columns}."
        )
    reason = f"not the {len(columns)} cells of the first line"
    bad = {line for line, row in rows if None in row or None in row.values()}
    return Table(
        path,
        columns,
        [row for row in rows if row[0] not in bad],
        [Fault(line, reason) for line, _ in rows if line in bad],
    )


def read_class_folders(root: Path, channels: Sequence[str] = ()) -> Table:
    """Reads `root/<class>/...` or `root/{train,val,test}/<class>/...`.

    A folder inside that of a class is a group, such as a patient.

    Args:
        root: The folder.
        channels: Patterns of the files of one image with `{id}` in the place of
            what they share, such as `{id}_red.png`; else a file is an image.

    Returns:
        A table with the columns of `read_image_folder`, and `id`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no folders of classes.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"No folder `{root}`. Expected one with a sub-folder a class."
        )
    folders = _list_folders(root)
    if not folders:
        raise ValueError(
            f"`{root}` has no folders of classes. Expected <class>/*.png or "
            "train/<class>/*.png in it. Received: "
            f"{len(list(root.iterdir()))} files. A table of labels is given as "
            "csv:FILE."
        )
    splits = [name_split(folder.name) for folder in folders]
    by_split = "train" in splits and None not in splits
    if by_split:
        folders = [part for each in folders for part in _list_folders(each)]
    rows: list[Row] = []
    faults: list[Fault] = []
    for folder in folders:
        files = [path.relative_to(root) for path in walk(folder)]
        if channels:
            images = _join_channels(files, channels)
        else:
            images = [path for path in files if _is_image(path)]
            others = [path for path in files if not _is_image(path)]
            faults += [Fault(path.as_posix(), _NO_IMAGE) for path in others]
        rows += [_describe(path, by_split) for path in images]
        if not images:
            name = folder.relative_to(root).as_posix()
            faults.append(Fault(name, "a class of no image"))
    named = [(row["path"], row | {"id": row["name"]}) for row in rows]
    return Table(root, [*_describe(Path("x"), False), "id"], named, faults)


def read_image_folder(root: Path) -> Table:
    """Reads a folder of images beside masks: all files of `root/images`.

    Returns:
        A table of each image's `path`, its `folder`, `name` and `stem`, and
        what sub-folders say: `split`, `group` and, if any does, `label`.

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
    images = [path for path in files if _is_image(path)]
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
    columns = [name for name in rows[0] if name != "label"]
    return Table(
        root,
        columns + ["label"] * any(row["label"] for row in rows),
        [(row["path"], row) for row in rows],
        [Fault(name, _NO_IMAGE) for name in others if not _is_image(name)],
    )


def walk(folder: Path) -> Iterator[Path]:
    """Yields the files in a folder at any depth, but for clutter."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_clutter(name))
        for name in sorted(files):
            if not _is_clutter(name):
                yield Path(parent, name)


def _list_folders(folder: Path) -> list[Path]:
    inside = (path for path in folder.iterdir() if path.is_dir())
    return sorted(path for path in inside if not _is_clutter(path.name))


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _CLUTTER


def _is_image(path: str | Path) -> bool:
    return str(path).lower().endswith(ENDINGS)


def _join_channels(files: list[Path], channels: Sequence[str]) -> list[Path]:
    """Lists the images that have a file of any channel."""
    images = set()
    for pattern in channels:
        shape = re.escape(pattern).replace(r"\{id\}", "(.+)")
        for path in files:
            if match := re.fullmatch(shape, path.name):
                images.add(path.parent / match[1])
    return sorted(images, key=lambda path: (path.parent, path.name))


def _describe(path: Path, by_split: bool) -> Row:
    """Reads split, class and group off the folders of an image."""
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
