"""Bounds of files that Keras saved, checked before anything is built."""

import math
import tempfile
import zipfile
from pathlib import Path

import h5py

# A file may unpack to so many times its size, or to so many bytes.
_MOST_RATIO = 20
_FREE = 2**26
# Of the text that describes the layers.
_MOST_CONFIG = 2**26


def require_bounded(path: Path) -> None:
    """Checks that a `.keras` file does not unpack to far more than it is.

    Sizes are those of its table of contents, and of the arrays in the headers
    of its weights, which may be compressed once more.

    Raises:
        ValueError: If it does, before any array is read.
        OSError: Or others of `DAMAGED`, if it is damaged.
    """
    most = max(_FREE, _MOST_RATIO * path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        _require(sum(m.file_size for m in archive.infolist()), most)
        for member in archive.infolist():
            if member.filename.endswith(".json"):
                _require(member.file_size, _MOST_CONFIG)
            if member.filename.endswith(".h5"):
                with (
                    tempfile.TemporaryFile() as file,
                    archive.open(member) as source,
                ):
                    # zipfile gives no more bytes than the size that it says.
                    while chunk := source.read(1 << 20):
                        file.write(chunk)
                    _require(_count_bytes(file), most)


def _count_bytes(file: object) -> int:
    """Counts the bytes of the arrays of a HDF5 file by their headers."""
    sizes: list[int] = []

    def add(_name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(math.prod(item.shape or ()) * item.dtype.itemsize)

    with h5py.File(file, "r") as weights:
        weights.visititems(add)
    return sum(sizes)


def _require(size: int, most: int) -> None:
    if size > most:
        raise ValueError(
            f"it unpacks to {size:,} bytes, where at most {most:,} are "
            "expected of a file of its size"
        )
