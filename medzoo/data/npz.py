"""Arrays of an npz archive: checked by their headers, read or memory-mapped."""

import contextlib
import math
import os
import shutil
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np
from filelock import FileLock
from numpy.lib import format as npy
from numpy.typing import DTypeLike

from medzoo.data.folders import caching, derived_path
from medzoo.files import DAMAGED, METHODS, replacing, reserve


class _Header(NamedTuple):
    """Shape and type of an array, and where its data start in its member."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype
    start: int


def create_array(
    path: Path, dtype: DTypeLike, shape: tuple[int, ...]
) -> np.memmap:
    """Creates an array that is mapped from a file, with room for all of it.

    Raises:
        OSError: If there is not enough room; no file is left then.
    """
    try:
        array = npy.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        with path.open("r+b") as file:
            reserve(file, path.stat().st_size)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return array


def check_arrays(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Checks by the headers alone that an archive holds the expected arrays.

    Args:
        path: The npz archive.
        shapes: Expected shape of each array by its name; all are `uint8`.

    Raises:
        ValueError: If the archive is truncated or damaged, or if an array is
            missing, holds Python objects or has another shape or dtype.
    """
    for name, expected in shapes.items():
        shape, dtype = describe_array(path, name)
        if shape != expected or dtype != np.uint8:
            raise ValueError(
                f"Array `{name}` of `{path}` must be uint8 of shape "
                f"{expected}. Received: {dtype} of shape {shape}."
            )


def describe_array(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Returns shape and dtype of an array of the archive, by its header.

    Raises:
        ValueError: If the archive is damaged, or the array missing or made of
            Python objects.
    """
    with _open(path) as archive:
        header = _read_header(path, archive, name)
        _check_length(path, archive, name, header)
    if header.dtype.hasobject:
        raise ValueError(
            f"Array `{name}` of `{path}` holds pickled Python objects, which "
            "could run any code and are never loaded. Expected numbers. "
            f"Received: dtype={header.dtype}."
        )
    return header.shape, header.dtype


def _check_length(
    path: Path, archive: zipfile.ZipFile, name: str, header: _Header
) -> None:
    """Compares the bytes that an array needs with those that are there.

    Raises:
        ValueError: If they differ, before anything is unpacked.
    """
    size = archive.getinfo(f"{name}.npy").file_size
    needed = math.prod(header.shape) * header.dtype.itemsize
    if header.dtype.hasobject or size == header.start + needed:
        return
    raise ValueError(
        f"Array `{name}` of `{path}` is damaged. Expected {needed:,} bytes for "
        f"its shape {header.shape}. Received: {size:,}."
    )


def list_arrays(path: Path) -> list[str]:
    """Lists the names of the arrays of an archive.

    Raises:
        ValueError: If it is none.
    """
    with _open(path) as archive:
        names = archive.namelist()
    return [n.removesuffix(".npy") for n in names if n.endswith(".npy")]


def read_array(path: Path, name: str) -> np.ndarray:
    """Reads an array of the archive into memory.

    Raises:
        ValueError: If the bytes are damaged, or those of Python objects.
    """
    describe_array(path, name)
    with (
        _open(path) as archive,
        _damage(path, name),
        archive.open(f"{name}.npy") as member,
    ):
        array = npy.read_array(member, allow_pickle=False)
        # Only at its end does zipfile compare a member with its checksum.
        if member.read(1):
            raise zipfile.BadZipFile("more bytes than the array has")
        return array


def read_texts(path: Path, *names: str) -> dict[str, tuple[str, ...]]:
    """Reads the lists of texts among some arrays that the archive has."""
    there = list_arrays(path)
    found = {}
    for name in names:
        if name in there and describe_array(path, name)[1].kind == "U":
            found[name] = tuple(read_array(path, name).reshape(-1).tolist())
    return found


def map_array(path: Path, name: str) -> np.ndarray:
    """Maps a `uint8` array of the archive read-only, without reading it.

    An array that is stored uncompressed is mapped inside the archive.
    A compressed one is first unpacked, once, into a file of its own in the
    user's cache.

    Raises:
        ValueError: If the bytes are damaged.
        FileNotFoundError: If there is no room to unpack.
    """
    with _open(path) as archive:
        member = archive.getinfo(f"{name}.npy")
        if member.compress_type == zipfile.ZIP_STORED:
            with _damage(path, name):
                return _map(path, member.header_offset)
        # With the checksum in its name, a stale file is never taken for it.
        unpacked = derived_path(path, f".{name}.{member.CRC:08x}.npy")
        # One that was emptied or cut is made again.
        if not _is_whole(unpacked, member.file_size):
            with caching(unpacked), _damage(path, name):
                _unpack(archive, member, unpacked)
    return npy.open_memmap(unpacked, mode="r")


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _unpack(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if _is_whole(target, member.file_size):
            return  # Another process has unpacked it meanwhile.
        with replacing(target) as part:
            with archive.open(member) as source, open(part, "wb") as file:
                reserve(file, member.file_size)
                shutil.copyfileobj(source, file, length=1 << 20)
            if part.stat().st_size != member.file_size:
                raise zipfile.BadZipFile("fewer bytes than its header says")


def _map(path: Path, header_offset: int) -> np.ndarray:
    """Maps the uncompressed member whose header is at that offset."""
    with open(path, "rb") as file:
        # 30 bytes come first, the last four of which are the lengths of the
        # name and of the extra field that follow.
        file.seek(header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", file.read(4))
        file.seek(name_length + extra_length, os.SEEK_CUR)
        shape, is_fortran, *_ = _parse_header(file)
        order: Literal["F", "C"] = "F" if is_fortran else "C"
        return np.memmap(path, np.uint8, "r", file.tell(), shape, order)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except DAMAGED as error:
        raise ValueError(
            f"`{path}` is truncated or no npz archive ({error}). Expected a "
            f"complete npz archive. Received: {path.stat().st_size} bytes."
        ) from error


@contextlib.contextmanager
def _damage(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise ValueError(
            f"Array `{name}` of `{path}` is damaged. Expected bytes that agree "
            f"with the archive's checksums. Received: {error}."
        ) from error


def _read_header(path: Path, archive: zipfile.ZipFile, name: str) -> _Header:
    if f"{name}.npy" not in archive.namelist():
        received = ", ".join(archive.namelist())
        raise ValueError(
            f"`{path}` holds no array `{name}`. Expected one in the layout of "
            f"MedMNIST. Received: {received or 'an empty archive'}."
        )
    with _damage(path, name):
        member = archive.getinfo(f"{name}.npy")
        # Else zipfile would seek or unpack in ways that end in an OSError.
        if member.header_offset < 0 or member.compress_type not in METHODS:
            raise zipfile.BadZipFile("an entry of its table of contents")
        with archive.open(member) as file:
            return _parse_header(file)


def _parse_header(file: IO[bytes]) -> _Header:
    """Leaves `file` at the first byte of the array's data."""
    if npy.read_magic(file) == (1, 0):
        found = npy.read_array_header_1_0(file)
    else:
        found = npy.read_array_header_2_0(file)
    return _Header(*found, file.tell())
