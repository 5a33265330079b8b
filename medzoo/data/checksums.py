"""MD5 checksums of files, verified once for each state of a file."""

import contextlib
import hashlib
from pathlib import Path

from medzoo.data.folders import derived_path


def md5_of(path: Path) -> str:
    """Computes the MD5 of a file as 32 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.md5(usedforsecurity=False)
        ).hexdigest()


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
    facts = path.stat()
    times = f"{facts.st_mtime_ns} {facts.st_ctime_ns}"
    return f"{md5} {facts.st_size} {times}\n".encode()


def _write_stamp(path: Path, stamp: bytes) -> None:
    # Without the stamp the next check is only slower.
    with contextlib.suppress(OSError):
        _stamp_path(path).parent.mkdir(parents=True, exist_ok=True)
        _stamp_path(path).write_bytes(stamp)
