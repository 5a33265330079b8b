"""Small image files of one's own, and all that can be wrong with them."""

import io
import os
import struct
import zlib

import numpy as np
from PIL import Image

CLASSES = ("a b", "cañón", "z")


def make_image(seed, *, shape=(12, 10), dtype=np.uint8, high=256):
    """Draws an image of noise."""
    values = np.random.default_rng(seed).integers(0, high, shape)
    return Image.fromarray(values.astype(dtype))


def make_folder(root, *, num=6, ending="png"):
    """Writes a folder a class with `num` grey images each."""
    for at, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for index in range(num):
            path = root / name / f"{index}.{ending}"
            make_image(100 * at + index).save(path)
    return root


def spoil_unnoticed(path):
    """Replaces the content of a file, but neither its size nor its time."""
    facts = path.stat()
    path.write_bytes(b"\0" * facts.st_size)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def make_bomb(path):
    """Writes a PNG of a few bytes that says it has 30000 x 30000 pixels."""

    def chunk(kind, data):
        checked = kind + data
        size = struct.pack(">I", len(data))
        return size + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def make_truncated(path):
    """Writes the first half of a JPEG."""
    out = io.BytesIO()
    make_image(0, shape=(64, 64)).save(out, "JPEG")
    path.write_bytes(out.getvalue()[: len(out.getvalue()) // 2])
