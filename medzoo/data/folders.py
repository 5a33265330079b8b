"""Folders of data files, and of the files that are derived from them."""

import functools
import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from medzoo import files
from medzoo.environment import find_folder
from medzoo.messages import unknown
from medzoo.tasks import SIZES, get_task

# Words a fault in writing a file of the cache.
caching = functools.partial(
    files.writing,
    way_out="Make room, or set MEDZOO_CACHE to another folder, and run the "
    "same command again.",
)


def data_folder() -> Path:
    """Returns the folder of the MedMNIST files.

    `MEDZOO_DATA` names it; otherwise it is `~/.medmnist`, where the medmnist
    package keeps its files.
    """
    return find_folder("MEDZOO_DATA", "~/.medmnist")


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

    `MEDZOO_CACHE` names it; otherwise it is `medzoo` in the cache folder of the
    system: `XDG_CACHE_HOME` (`~/.cache` by default), `~/Library/Caches` on a
    Mac, `%LOCALAPPDATA%` on Windows. `medzoo doctor --cache` lists what it has.
    """
    usual = {"darwin": "~/Library/Caches", "win32": "~/AppData/Local"}
    folder = (
        os.environ.get("XDG_CACHE_HOME")
        or (sys.platform == "win32" and os.environ.get("LOCALAPPDATA"))
        or usual.get(sys.platform, "~/.cache")
    )
    return find_folder("MEDZOO_CACHE", f"{folder}/medzoo")


# Longest name of a folder that spells the path of another.
_LONGEST = 200


def derived_path(path: Path, ending: str) -> Path:
    """Returns the path in the cache for a file that is made from `path`.

    Nothing is written beside the data. The folder of the cache spells that of
    `path`, so that it can be listed with it.

    Example:

    >>> derived_path(Path("/data/scans.npz"), ".npy").parts[-3:]
    ('data', '%2Fdata', 'scans.npz.npy')
    """
    folder = bytes(path.resolve().parent)
    name = quote(folder, safe="")
    if len(name) > _LONGEST:
        name = hashlib.sha256(folder).hexdigest()[:16]
    return cache_folder() / "data" / name / f"{path.name}{ending}"
