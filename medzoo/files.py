"""Files that are whole or not there; the fault where none can be written."""

import contextlib
import csv
import functools
import hashlib
import itertools
import os
import re
import shutil
import socket
import stat
import struct
import tempfile
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import psutil

from medzoo.messages import printable

# What zipfile, zlib and NumPy raise for an archive or array that is damaged, or
# that holds something else.
DAMAGED = (
    *(ValueError, TypeError, KeyError, EOFError, OverflowError, MemoryError),
    *(RuntimeError, SyntaxError, struct.error, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error),
)

# Ways to pack that archives of arrays have; others raise errors of their own.
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@contextlib.contextmanager
def writing(path: Path, *, way_out: str = "") -> Iterator[None]:
    """Words any fault in writing `path` as one sentence.

    Args:
        path: What is written.
        way_out: Further sentences.

    Raises:
        FileNotFoundError: If the disk is full, the folder is read-only, ...
    """
    try:
        yield
    except OSError as error:
        text = (
            f"`{path}` cannot be written. Expected a folder with room and with "
            f"write permission. Received: {error.strerror or error}. {way_out}"
        )
        raise FileNotFoundError(text.rstrip()) from error


def find_checkout() -> Path | None:
    """Returns the folder of the checkout that this package is of, if any."""
    root = Path(__file__).parents[1]
    return root if root.joinpath("Makefile").is_file() else None


def in_checkout() -> bool:
    """Says whether the current folder is the checkout, so that make works."""
    root = find_checkout()
    return root is not None and root.resolve() == Path.cwd()


@contextlib.contextmanager
def replacing(path: Path, *, ending: str = ".tmp") -> Iterator[Path]:
    """Yields a path to write to, which takes the place of `path` at the end.

    Whatever reads `path` meanwhile, or ends this process, finds the file of
    before or the new one. The folder is made if there is none. What processes
    left in it that were killed on the way is removed.

    Args:
        path: The file.
        ending: Of the name that is yielded; it begins with a dot.
    """
    if _is_device(path):
        yield path  # Nothing can take its place.
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _name_part(path, ending)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """Yields an empty folder whose files are moved to `folder` at the end.

    After an error, `folder` is what it was before.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = _name_part(folder, ".tmp")
    part.mkdir()
    try:
        yield part
        if not folder.exists():
            part.rename(folder)
        for path in sorted(part.rglob("*")):
            target = folder / path.relative_to(part)
            if path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def make_temporary() -> tempfile.TemporaryDirectory[str]:
    """Makes a folder among those of the system, and clears what is left there.

    Of other processes of this machine, what those left that were killed.
    """
    _clear_left(Path(tempfile.gettempdir()), "medzoo-")
    return tempfile.TemporaryDirectory(prefix=f"medzoo-{_mark_own()}")


def _name_part(path: Path, ending: str) -> Path:
    _clear_parts(path.parent)
    name = f".{path.name}.{_mark_own()}{uuid.uuid4().hex[:8]}{ending}"
    return path.with_name(name)


@functools.cache
def _clear_parts(folder: Path) -> None:
    """Clears a folder, once in a process."""
    _clear_left(folder, r"\..+\.")


def _clear_left(folder: Path, start: str) -> None:
    """Removes what processes of this machine have begun that are no more."""
    left = re.compile(rf"{start}{_mark_machine()}-(\d{{1,9}})-\w+(\.\w+)?")
    for entry in [*os.scandir(folder)]:
        found = left.fullmatch(entry.name)
        if found and not psutil.pid_exists(int(found[1])):
            _remove(Path(entry.path))


def _remove(path: Path) -> None:
    """Removes a file, or a folder with all that is in it, if that can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _mark_own() -> str:
    """Returns the part of a name that says which process has chosen it."""
    return f"{_mark_machine()}-{os.getpid()}-"


@functools.cache
def _mark_machine() -> str:
    return hashlib.sha256(name_machine().encode()).hexdigest()[:8]


@functools.cache
def name_machine() -> str:
    """Names where the numbers of processes are those that this one sees.

    Containers may share the name of their host, and machines that of their
    image: the name space of processes and the start of the kernel tell them
    apart, where the system says them.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id")
        parts.append(boot.read_text(encoding="ascii").strip())
    return " ".join(parts)


# A disk without room for so many bytes is full.
_PROBE = 1 << 16


def require_output(
    path: Path, *, folder: bool = False, way_out: str = ""
) -> None:
    """Tries whether a file or folder can be written, and leaves no trace.

    Every command asks before it reads or trains anything.

    Args:
        path: What will be written; its parents need not exist.
        folder: Whether it is a folder.
        way_out: Further sentences.

    Raises:
        FileNotFoundError: If something of another kind is there, the place is
            read-only, or the disk is full.
    """
    kind, other = ("folder", "file") if folder else ("file", "folder")
    if _is_device(path) and not folder:
        return
    if path.exists() and path.is_dir() != folder:
        raise FileNotFoundError(
            f"`{path}` is a {other}. Expected a {kind}, or a name that is "
            f"free. {way_out}".rstrip()
        )
    with writing(path, way_out=way_out):
        if path.is_file():
            path.open("ab").close()
        home = path if folder else Path(os.path.realpath(path)).parent
        # The nearest one that exists: the others are made in it.
        nearest = next(each for each in (home, *home.parents) if each.exists())
        if not nearest.is_dir():
            raise NotADirectoryError(f"`{nearest}` is no folder")
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())


def _is_device(path: Path) -> bool:
    """Says whether a path is one as /dev/null, or as /dev/stdout of a pipe.

    A pipe elsewhere is none: nobody may ever read it.
    """
    in_pipe = path.is_fifo() and path.is_relative_to("/dev")
    return path.is_char_device() or in_pipe


# More characters than this would leave no room for endings.
_LONGEST_NAME = 150


def safe_name(text: str) -> str:
    """Makes the name of one file or folder of any text.

    What is a plain name already stays as it is; other texts get a part of
    their digest, so that two of them never share a name.

    Example:

    >>> safe_name("skip_cnn @64 px"), safe_name("../x")
    ('skip_cnn @64 px', 'x-d6b96a97')
    """
    name = re.sub(r"[^\w.@+=, -]+", "-", text).lstrip(".- ").rstrip(". ")
    name = name[:_LONGEST_NAME]
    if name == text and name:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name.strip('-')}-{digest[:8]}".lstrip("-")


def read_regular(path: str | Path, *, most: int | None = None) -> bytes:
    """Reads a file, but no folder, pipe or device, which may never end.

    Args:
        path: The file.
        most: Bytes that it may have; any number if left out.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not a file, or too large.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise ValueError(f"{size:,} bytes, where at most {most:,} may be")
        return file.read()


def state_of(path: Path) -> tuple[int, int, int]:
    """Returns size and times of change of a file.

    While they are the same, so is its content: whoever changes a file cannot
    put the second time back.
    """
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def hash_file(path: Path) -> str:
    """Computes the SHA-256 of a file, once for each state of it."""
    return _hash_state(path, *state_of(path))


@functools.lru_cache(maxsize=64)
def _hash_state(path: Path, *_state: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reserve(file: BinaryIO, size: int) -> None:
    """Takes room on the disk for a file before anything is written to it.

    Without, a full disk would end the process with a bus error at the first
    page of a mapped file that finds no place.

    Raises:
        OSError: If there is not enough room.
    """
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)


def open_regular(path: str | Path) -> BinaryIO:
    """Opens a file, but no folder, pipe or device, for reading.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not a file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError("not a regular file")
    return open(handle, "rb")


def defuse(cell: object) -> object:
    """Puts `'` before a text that a spreadsheet would compute.

    Example:

    >>> [defuse(cell) for cell in ("=1+1", "adam", -0.5)]
    ["'=1+1", 'adam', -0.5]
    """
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t")):
        return f"'{printable(cell, keep_bytes=True)}"
    return printable(cell, keep_bytes=True) if isinstance(cell, str) else cell


def write_csv(
    path: Path,
    header: Iterable[str],
    rows: Iterable[Iterable[object]],
    *,
    raw: bool = False,
) -> None:
    """Writes a CSV file in one step; names that are no UTF-8 as they are.

    Args:
        path: The file.
        header: Names of the columns.
        rows: Of one cell a column.
        raw: Whether only programs read it, which want each text as it is.
    """
    table: Iterable[Iterable[object]] = itertools.chain([header], rows)
    if not raw:
        table = (map(defuse, row) for row in table)
    with (
        replacing(path) as part,
        part.open(
            "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file,
    ):
        plain = csv.writer(file, lineterminator="\n")
        quoted = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for cells in map(tuple, table):
            # `csv` would not quote a carriage return, and read two rows.
            is_odd = any(
                "\r" in each for each in cells if isinstance(each, str)
            )
            (quoted if is_odd else plain).writerow(cells)
