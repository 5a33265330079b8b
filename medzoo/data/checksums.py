"""Checksums of files, computed once for each state of a file."""

import contextlib
import functools
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from medzoo.data.folders import derived_path


def md5_of(path: Path) -> str:
    """Computes the MD5 of a file as 32 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.md5(usedforsecurity=False)
        ).hexdigest()


def sum_files(paths: Iterable[Path]) -> dict[str, int]:
    """Returns the CRC-32 of files that a cache consists of, by their names."""
    return {path.name: _crc_of(path, *state_of(path)) for path in paths}


def are_whole(folder: Path, sums: Mapping[str, int]) -> bool:
    """Says whether a cache has all of its files, as they were written.

    Args:
        folder: Holds the files.
        sums: What `sum_files` returned of them.
    """
    try:
        found = sum_files(folder / name for name in sums)
    except OSError:
        return False
    return found == dict(sums)


def state_of(path: Path) -> tuple[int, int, int]:
    """Returns size and times of change of a file.

    While they are the same, so is its content: whoever changes a file cannot
    put the second time back.
    """
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


@functools.lru_cache(maxsize=1024)
def _crc_of(path: Path, *facts: int) -> int:
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            crc = zlib.crc32(chunk, crc)
    return crc


def verify_md5(path: Path, md5: str) -> None:
    """Checks that a file has the MD5 that was published for it.

    A file that passes gets a stamp with its size and time of change; as long as
    both stay the same, the next check costs nothing.

    Raises:
        ValueError: If the file has another MD5.
    """
    stamp = _stamp(path, md5)
    with contextlib.suppress(OSError):
        if _stamp_path(path).read_bytes() == stamp:
            return
    received = md5_of(path)
    if received != md5:
        raise ValueError(
            f"`{path}` is not the published file, or is damaged. "
            f"Expected: MD5 {md5}. Received: MD5 {received}."
        )
    _write_stamp(path, stamp)


def trust_md5(path: Path, md5: str) -> None:
    """Stamps a file whose MD5 the caller has just computed to be `md5`."""
    _write_stamp(path, _stamp(path, md5))


def _stamp_path(path: Path) -> Path:
    return derived_path(path, ".verified")


def _stamp(path: Path, md5: str) -> bytes:
    return f"{md5} {' '.join(map(str, state_of(path)))}\n".encode()


def _write_stamp(path: Path, stamp: bytes) -> None:
    # Without the stamp the next check is only slower.
    with contextlib.suppress(OSError):
        _stamp_path(path).parent.mkdir(parents=True, exist_ok=True)
        _stamp_path(path).write_bytes(stamp)
