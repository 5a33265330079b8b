"""Images as unit vectors, so that their distance says how they correlate."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from medzoo.data.split import Split

# Larger images are compared by the means of blocks of their pixels.
MOST_PIXELS = 64
# Grey levels of standard deviation below which an image shows nothing.
FLAT = 0.5
_CHUNK = 512


class Vectors:
    """All images of a data set, as many at a time as memory holds.

    Args:
        splits: Their images are joined in this order.
    """

    def __init__(self, splits: Sequence[Split]) -> None:
        self._splits = splits
        self._ends = np.cumsum([len(split) for split in splits])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Returns the images at `rows`, `uint8`."""
        first = self._splits[0].images
        found = np.empty((len(rows), *first.shape[1:]), np.uint8)
        starts = [0, *self._ends[:-1]]
        for split, start, end in zip(
            self._splits, starts, self._ends, strict=True
        ):
            inside = (rows >= start) & (rows < end)
            if inside.any():
                found[inside] = split.images[rows[inside] - start]
        return found

    def units(self, rows: np.ndarray) -> np.ndarray:
        """Returns the images without their mean, and of length 1.

        The product of two of them is Pearson's correlation of their pixels.

        Returns:
            `float32`, shape `(num_rows, num_pixels)`; zeros for a flat image.
        """
        values = shrink(self.images(rows)).reshape(len(rows), -1)
        values -= values.mean(axis=1, keepdims=True)
        length = np.linalg.norm(values, axis=1, keepdims=True)
        flat = length < FLAT * np.sqrt(values.shape[1])
        return np.where(flat, 0, values / np.maximum(length, 1e-9))

    def chunks(self) -> Iterator[np.ndarray]:
        """Yields the rows of all images, a part at a time."""
        for start in range(0, len(self), _CHUNK):
            yield np.arange(start, min(start + _CHUNK, len(self)))

    def digests(self) -> list[bytes]:
        """Hashes the pixels of every image."""
        return [
            hashlib.blake2b(image.tobytes(), digest_size=16).digest()
            for rows in self.chunks()
            for image in self.images(rows)
        ]


def shrink(images: np.ndarray) -> np.ndarray:
    """Takes the means of blocks, so that at most 64 x 64 are left.

    Example:

    >>> shrink(np.zeros((1, 130, 130, 3), np.uint8)).shape
    (1, 43, 43, 3)
    """
    size = images.shape[1]
    step = -(-size // MOST_PIXELS)
    if step == 1:
        return images.astype(np.float32)
    kept = size // step
    cut = images[:, : kept * step, : kept * step]
    blocks = cut.reshape(len(images), kept, step, kept, step, -1)
    return blocks.mean(axis=(2, 4), dtype=np.float32)
