"""Folders of data files, and of the files that are derived from them."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from medzoo.messages import unknown
from medzoo.tasks import SIZES, get_task


def data_folder() -> Path:
    """Returns the folder of the MedMNIST files.

    `MEDZOO_DATA` names it; otherwise it is `~/.medmnist`, where the medmnist
    package keeps its files.
    """
    return Path(os.environ.get("MEDZOO_DATA") or "~/.medmnist").expanduser()


def expand_path(text: str) -> Path:
    """Returns a path with `~` and `$MEDZOO_DATA` at its start written out.

    `$MEDZOO_DATA` is the data folder, also where the environment names none.

    Example:

    >>> expand_path("$MEDZOO_DATA/busi") == data_folder() / "busi"
    True
    """
    parts = Path(text).parts
    if parts[:1] == ("$MEDZOO_DATA",):
        return data_folder().joinpath(*parts[1:])
    return Path(text).expanduser()


def find_file(task: str, size: int = 28) -> Path:
    """Returns the path that the file of a task has in the data folder.

    Raises:
        ValueError: For an unknown task or size.
    """
    if size not in SIZES:
        raise ValueError(unknown("size", size, map(str, SIZES)))
    return data_folder() / get_task(task).file_name(size)


def find_missing(tasks: Iterable[str], size: int = 28) -> list[Path]:
    """Returns the paths of those tasks' files that are not there."""
    paths = [find_file(task, size) for task in tasks]
    return [path for path in paths if not path.is_file()]


def cache_folder() -> Path:
    """Returns the folder for what can be made again.

    It is `medzoo` in `XDG_CACHE_HOME` (`~/.cache` by default), and may be
    deleted at any time.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return folder.expanduser() / "medzoo"


def derived_path(path: Path, ending: str) -> Path:
    """Returns the path for a file that is made from `path`.

    It is beside `path`, or in the user's cache if that folder is read-only.
    A folder without write permission is left alone even by root.
    """
    folder = path.resolve().parent
    if not (folder.stat().st_mode & 0o222 and os.access(folder, os.W_OK)):
        key = hashlib.sha256(bytes(folder)).hexdigest()[:12]
        folder = cache_folder() / key
    return folder / f"{path.name}{ending}"
