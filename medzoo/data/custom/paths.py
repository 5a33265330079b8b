"""Paths of a table: the files that they mean, or what is wrong with them."""

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from medzoo.data.custom.walk import ENDINGS, list_folders
from medzoo.data.kept import keep

_DRIVE = re.compile(r"[A-Za-z]:/|//")


def locate(root: Path, path: str) -> str:
    """Returns a path as this system has it.

    Separators of Windows become those of here, and letters with marks are
    composed or not as in the name of the file.

    Args:
        root: What the path is relative to.
        path: As a table has it.
    """
    if os.path.isfile(os.path.join(root, path)):
        return path
    here = path.replace("\\", "/")
    others = [unicodedata.normalize(form, here) for form in ("NFC", "NFD")]
    # Names are UTF-8 on most disks, also where text is not.
    others.append(os.fsdecode(here.encode("utf-8", "surrogateescape")))
    for other in others:
        if os.path.isfile(os.path.join(root, other)):
            return other
    return here


def find_fault(
    root: Path,
    paths: Sequence[str],
    column: str = "path",
    *,
    follow_links: bool = True,
) -> str | None:
    """Says what is wrong with the paths of a row.

    Args:
        root: What they are relative to, and must lie in.
        paths: One file, or one a channel.
        column: Where they are from, for a way out.
        follow_links: Whether links may lead out of the root.
    """
    if not all(paths):
        return "no path"
    base = os.path.abspath(root)
    for path in paths:
        full = os.path.abspath(os.path.join(base, path))
        if os.path.commonpath([base, full]) != base:
            return (
                f"{path} leads out of {root}; set `root` to a folder that "
                "holds all images"
            )
        if not os.path.isfile(full):
            what = f"no file {path}" if len(paths) > 1 else "no such file"
            return what + _find_hint(root, path, full, column)
        if not follow_links and not _is_inside(full, base):
            return (
                f"a link leads out of {root}; copy what it leads to, or say "
                "follow_links = true"
            )
    return None


def _is_inside(path: str, folder: str) -> bool:
    """Says whether a file lies in a folder once links are followed."""
    real = os.path.realpath(folder)
    return os.path.commonpath([real, os.path.realpath(path)]) == real


def _find_hint(root: Path, path: str, full: str, column: str) -> str:
    """Says why a file may be missing, where that can be seen."""
    if os.path.isdir(full):
        return "; it is a folder"
    if _DRIVE.match(path):
        return "; that is a path of Windows, write it relative to the table"
    for ending in ENDINGS:
        for written in (ending, ending.upper()):
            if os.path.isfile(full + written):
                return (
                    f"; with its ending there is, so say path = "
                    f'"{{{column}}}{written}"'
                )
    if found := _find_root(root, path):
        return f'; there is {found}/{path}, so say root = "{found}"'
    stem, ending = os.path.splitext(full)
    for other in (stem + ending.lower(), stem + ending.upper(),
                  os.path.join(os.path.dirname(full),
                               os.path.basename(full).lower())):  # fmt: skip
        if os.path.isfile(other):
            return f"; there is {os.path.basename(other)}"
    return ""


def _find_root(root: Path, path: str) -> str | None:
    """Finds another folder near the table that has the file."""
    for above in ("..", "../.."):
        if os.path.isfile(os.path.join(root, above, path)):
            return above
    for folder in _list_inside(root):
        if os.path.isfile(os.path.join(folder, path)):
            return folder.name
    return None


@keep(1)
def _list_inside(root: Path) -> list[Path]:
    """Lists the folders in one; all rows of a table may ask for them."""
    return list_folders(root) if os.path.isdir(root) else []
