"""Checksums of files, computed once for each state of a file."""

import contextlib
import functools
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from medzoo.data.folders import derived_path
from medzoo.files import hash_file, state_of


def md5_of(path: Path) -> str:
    """Computes the MD5 of a file as 32 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.md5(usedforsecurity=False)
        ).hexdigest()


def digest_of(path: Path, published: str) -> str:
    """Computes what was published of a file: its MD5, or its SHA-256.

    Args:
        path: The file.
        published: 32 hexadecimal digits, or 64.
    """
    if len(published) == 32:
        return md5_of(path)
    return hash_file(path)


def name_digest(digest: str) -> str:
    """Writes `MD5 a8b0...` or `SHA-256 3a22...`."""
    return f"{'MD5' if len(digest) == 32 else 'SHA-256'} {digest}"


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


@functools.lru_cache(maxsize=1024)
def _crc_of(path: Path, *facts: int) -> int:
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            crc = zlib.crc32(chunk, crc)
    return crc


def verify(path: Path, published: str) -> None:
    """Checks that a file has the MD5 or SHA-256 that was published for it.

    A file that passes gets a stamp with its size and time of change; as long as
    both stay the same, the next check costs nothing.

    Raises:
        ValueError: If the file has another one.
    """
    stamp = _stamp(path, published)
    with contextlib.suppress(OSError):
        if _stamp_path(path).read_bytes() == stamp:
            return
    received = digest_of(path, published)
    if received != published:
        raise ValueError(
            f"`{path}` is not the published file, or is damaged. Expected: "
            f"{name_digest(published)}. Received: {name_digest(received)}."
        )
    _write_stamp(path, stamp)


def trust(path: Path, digest: str) -> None:
    """Stamps a file whose digest the caller has just computed."""
    _write_stamp(path, _stamp(path, digest))


def _stamp_path(path: Path) -> Path:
    return derived_path(path, ".verified")


def _stamp(path: Path, digest: str) -> bytes:
    return f"{digest} {' '.join(map(str, state_of(path)))}\n".encode()


def _write_stamp(path: Path, stamp: bytes) -> None:
    # Without the stamp the next check is only slower.
    with contextlib.suppress(OSError):
        _stamp_path(path).parent.mkdir(parents=True, exist_ok=True)
        _stamp_path(path).write_bytes(stamp)
