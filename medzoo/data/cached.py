"""What the cache holds: for which data, how large, from when; clearing it."""

import contextlib
import json
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from filelock import FileLock, Timeout

from medzoo.data.folders import cache_folder

# Folders of the cache, and what is in each.
_KINDS = {
    "data": "decoded images",
    "features": "features of frozen backbones",
    "arrays": "data given from Python, which stay: nothing makes them again",
    "plugins": "plugins of notebooks and of other machines, which stay too",
}
_MADE_AGAIN = (_KINDS["data"], _KINDS["features"])


class Entry(NamedTuple):
    """A folder of the cache.

    Args:
        kind: What is in it.
        source: The folder of the data that it is made of, or another name.
        path: The folder.
        size: Bytes of all files.
        made: Seconds since 1970 at which the last of them was written.
        is_orphan: Whether the data are no longer there.
    """

    kind: str
    source: str
    path: Path
    size: int
    made: float
    is_orphan: bool = False

    def __str__(self) -> str:
        days = max(0, int((time.time() - self.made) // 86_400))
        age = f"{days} day{'s' * (days != 1)} old" if days else "of today"
        gone = "; the data are gone" if self.is_orphan else ""
        return f"{self.size / 1e6:>10.1f} MB  {self.source} ({age}{gone})"


def list_entries() -> Iterator[Entry]:
    """Lists the folders of the cache."""
    for name, kind in _KINDS.items():
        for path in sorted((cache_folder() / name).glob("*")):
            if path.is_dir() and (found := _describe(kind, path)):
                yield found


def _is_lock(path: Path) -> bool:
    return path.name.endswith("lock")


def clear(entries: list[Entry]) -> tuple[int, int]:
    """Deletes what can be made again, but for what a process writes just now.

    Files of locks stay: a process that waits for one would hold a lock that no
    other can see. A study that runs goes on: arrays that it has mapped stay
    until it ends, and others are made again.

    Returns:
        Bytes that became free, and the number of folders that were left.
    """
    free = left = 0
    for entry in entries:
        if entry.kind not in _MADE_AGAIN:
            continue
        locks = _list_locks(entry.path)
        with contextlib.ExitStack() as held:
            try:
                for lock in locks:
                    held.enter_context(FileLock(lock, timeout=0))
            except Timeout:
                left += 1
                continue
            _delete(entry.path, locks)
        free += entry.size
    return free, left


def _delete(folder: Path, kept: Collection[Path]) -> None:
    """Deletes what lies in a folder, and the folders that are empty then."""
    inside = sorted(folder.rglob("*"), reverse=True)  # The deepest first.
    for path in (*inside, folder):
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif path not in kept:
                path.unlink()


def _describe(kind: str, path: Path) -> Entry | None:
    """Describes a folder; `None` for one of no files but those of locks."""
    files = [
        file
        for file in path.rglob("*")
        if file.is_file() and not file.is_symlink()
    ]
    if all(map(_is_lock, files)):
        return None
    facts = [file.stat() for file in files]
    size = sum(each.st_size for each in facts)
    made = max(each.st_mtime for each in facts)
    if kind == _KINDS["data"]:
        folder = os.fsdecode(unquote_to_bytes(path.name))
        known = os.path.isabs(folder)
        source = folder if known else f"a folder of a long name, {path.name}"
        return Entry(
            kind, source, path, size, made, known and not os.path.isdir(folder)
        )
    return Entry(kind, _name_features(path) or path.name, path, size, made)


def _name_features(path: Path) -> str:
    """Names features by their backbone and data, if it can be read."""
    try:
        about = json.loads((path / "about.json").read_text(encoding="utf-8"))
        return f"{about['backbone']}, {about['data']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _list_locks(path: Path) -> list[Path]:
    """Lists the locks of whatever may write to a folder."""
    beside = path.with_name(f"{path.name}.lock")
    inside = [f for f in path.rglob("*") if _is_lock(f)]
    return [*(f for f in [beside] if f.exists()), *inside]
