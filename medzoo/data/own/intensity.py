"""How 16 bits become 8: one rule a data set and channel, never one an image.

The same value is then the same grey in every image: the amount of DNA, say,
which tells phases of the cell cycle apart, stays what it was.
"""

import numpy as np

# Of the pixels of train, in percent: what lies outside is cut off.
LOW, HIGH = 0.1, 99.9
_LEVELS = 2**16
_CHUNK = 256


def find_ranges(
    images: np.ndarray, train: np.ndarray, rule: str
) -> list[tuple[int, int]]:
    """Finds the values that become black and white, channel by channel.

    Args:
        images: `uint16`, shape `(n, height, width, channels)`.
        train: Indices of the images of train, the only ones that are measured.
        rule: `percentile`, or `full` for 0 and 65535.

    Example:

    >>> ramp = np.arange(1024, dtype="uint16").reshape(1, 32, 32, 1)
    >>> find_ranges(ramp, np.array([0]), "percentile")
    [(1, 1022)]
    """
    channels = images.shape[-1]
    if rule == "full":
        return [(0, _LEVELS - 1)] * channels
    counts = np.zeros((channels, _LEVELS), np.int64)
    for start in range(0, len(train), _CHUNK):
        part = images[train[start : start + _CHUNK]]
        for channel in range(channels):
            values = part[..., channel].ravel()
            counts[channel] += np.bincount(values, minlength=_LEVELS)
    ranges = []
    for row in counts.cumsum(axis=1):
        ends = row[-1] * np.array([LOW, HIGH]) / 100
        low, high = np.searchsorted(row, ends)
        ranges.append((int(low), int(max(high, low + 1))))
    return ranges


def to_bytes(images: np.ndarray, ranges: list[tuple[int, int]]) -> np.ndarray:
    """Stretches the range of each channel to 0 to 255, and cuts off the rest.

    Example:

    >>> to_bytes(np.array([[[[5], [10], [99]]]], "uint16"), [(0, 20)]).ravel()
    array([ 64, 128, 255], dtype=uint8)
    """
    low, high = np.array(ranges, np.float32).T
    scaled = (images.astype(np.float32) - low) / (high - low)
    return np.floor(np.clip(scaled, 0, 1) * 255 + 0.5).astype(np.uint8)
