"""Random integers that are the same on every platform."""

import hashlib

import numpy as np


class Stream:
    """Integers from the raw stream of PCG64, seeded by a text."""

    def __init__(self, text: str) -> None:
        digest = hashlib.sha256(text.encode()).digest()
        self._bits = np.random.PCG64(int.from_bytes(digest, "little"))

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray:
        """Draws from `low` to `high`, both included."""
        raw = self._bits.random_raw(int(np.prod(shape))) >> np.uint64(32)
        scaled = raw * np.uint64(high - low + 1) >> np.uint64(32)
        return scaled.astype(np.int32).reshape(shape) + np.int32(low)

    def shuffled(self, values: np.ndarray) -> np.ndarray:
        """Returns them in another order."""
        keys = self._bits.random_raw(len(values))
        return values[np.argsort(keys, kind="stable")]

    def noise(self, shape: tuple[int, ...]) -> np.ndarray:
        """Draws from -255 to 255, the middle oftener than the ends."""
        count = int(np.prod(shape))
        raw = self._bits.random_raw(-(-count // 4)).astype("<u8")
        pairs = raw.view(np.uint8)[: 2 * count].reshape(2, *shape)
        return pairs[0].astype(np.int32) - pairs[1]
