"""Where data files lie, and where files derived from them may be kept."""

import hashlib
import os
from pathlib import Path


def data_folder() -> Path:
    """Returns the folder of the MedMNIST files.

    `MEDZOO_DATA` names it; otherwise it is `~/.medmnist`, where the medmnist
    package keeps its files.
    """
    return Path(os.environ.get("MEDZOO_DATA") or "~/.medmnist").expanduser()


def cache_folder() -> Path:
    """Returns the folder for what can be made again.

    It is `medzoo` in `XDG_CACHE_HOME`, which is `~/.cache` if it is not set,
    and may be deleted at any time.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return folder.expanduser() / "medzoo"


def derived_path(path: Path, ending: str) -> Path:
    """Returns the path for a file that is made from `path`.

    It lies beside `path`, or in the user's cache if that folder is read-only.
    A folder without write permission is left alone even by root.

    Args:
        path: The file to derive from.
        ending: What is appended to its name, such as `.verified`.
    """
    folder = path.resolve().parent
    if not (folder.stat().st_mode & 0o222 and os.access(folder, os.W_OK)):
        key = hashlib.sha256(bytes(folder)).hexdigest()[:12]
        folder = cache_folder() / key
    return folder / f"{path.name}{ending}"
