"""Limits of control groups, as containers and batch systems set them."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

_ROOT = Path("/")


def usable_memory(root: Path = _ROOT) -> int:
    """Returns the bytes of memory of this machine, or those left by a limit.

    Args:
        root: Folder of `proc` and `sys`.
    """
    limits = [
        int(words[0])
        for folder in _list_groups(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (words := _read(folder / name)) and words[0].isdigit()
    ]
    return min([psutil.virtual_memory().total, *filter(None, limits)])


def find_quota(root: Path = _ROOT) -> int | None:
    """Returns how many cores a quota of time is for, rounded up.

    Args:
        root: Folder of `proc` and `sys`.

    Returns:
        `None` without a quota, and where there are no control groups.
    """
    shares = map(_share_of, _list_groups(root, "cpu"))
    least = min(shares, default=math.inf)
    return math.ceil(least) if least < math.inf else None


def _share_of(folder: Path) -> float:
    """Returns the cores of one group; infinity without a quota."""
    words = _read(folder / "cpu.max") or [
        *_read(folder / "cpu.cfs_quota_us"),
        *_read(folder / "cpu.cfs_period_us"),
    ]
    # Without one, the quota is `max` or -1.
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return math.inf
    quota, period = map(int, words)
    return quota / period if quota and period else math.inf


def _list_groups(root: Path, controller: str) -> Iterator[Path]:
    """Lists the groups of this process and those above, of both versions.

    A container may see its group as the top one, under a name from outside:
    names that are not there are passed over by who reads them.
    """
    top = root / "sys" / "fs" / "cgroup"
    for line in _read_lines(root / "proc" / "self" / "cgroup"):
        _, _, rest = line.partition(":")
        names, _, group = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        path = PurePosixPath(group.lstrip("/"))
        inside = [] if ".." in path.parts else [path, *path.parents]
        for mount in (names, controller) if names else ("", "unified"):
            for each in dict.fromkeys([*inside, PurePosixPath()]):
                yield top / mount / each


def _read(path: Path) -> list[str]:
    """Reads the words of a file; none if it cannot be read."""
    return [word for line in _read_lines(path) for word in line.split()]


def _read_lines(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    return []
