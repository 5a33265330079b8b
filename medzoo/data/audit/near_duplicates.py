"""Search for near-duplicate images without comparing all pairs."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree

from medzoo.data.dataset import Split

# Larger images are compared by the means of blocks of their pixels.
MOST_PIXELS = 64
# Grey levels of standard deviation below which an image shows nothing.
FLAT = 0.5
_AT_A_TIME = 512
# Correlations from which two images are near-duplicates: of what they have
# beside the mean image, and of its structure.
ALIKE, STRUCTURE = 0.95, 0.9
# Levels within which the pixels of a bar lie, after a JPEG.
_BAR = 4
# Images that make a mean image, and below which there is none.
_MEAN_OF, _FEW = 2000, 20
# Principal directions of the search, and images that they are taken from.
_DIRECTIONS = 24
_SAMPLE = 1500
_CHUNK = 512
_PAIRS = 4096
# For rounding.
_SLACK = 1e-3


class Vectors:
    """Images of a dataset as vectors, read a part at a time.

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
        images = np.empty((len(rows), *first.shape[1:]), np.uint8)
        starts = [0, *self._ends[:-1]]
        for split, start, end in zip(
            self._splits, starts, self._ends, strict=True
        ):
            inside = (rows >= start) & (rows < end)
            if inside.any():
                images[inside] = split.images[rows[inside] - start]
        return images

    def units(self, rows: np.ndarray) -> np.ndarray:
        """Returns what images have beside the mean image, of length 1.

        Bars of one value at the edges, as padding adds, are left out. The
        product of two of them is Pearson's correlation of their differences
        to what all images share.

        Returns:
            `float32`, shape `(num_rows, num_pixels)`; zeros for a flat image.
        """
        return _subtract(*_normalize(self._values(rows)), self._means[0])

    def structures(self, rows: np.ndarray) -> np.ndarray:
        """Returns the same of the differences of pixels to those around them.

        They tell images that are alike in their light and layout alone.
        """
        return _subtract(*_sharpen(self._values(rows)), self._means[1])

    @functools.cached_property
    def _means(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean image and its structure; 0 where images are few."""
        step = -(-len(self) // _MEAN_OF)
        rows = np.arange(0, len(self), step)
        if len(rows) < _FEW:
            return np.zeros(1, np.float32), np.zeros(1, np.float32)
        parts = np.array_split(rows, -(-len(rows) // _AT_A_TIME))
        sums = [
            (_normalize(values)[0].sum(axis=0), _sharpen(values)[0].sum(axis=0))
            for values in map(self._values, parts)
        ]
        first, second = (
            sum(one) / len(rows) for one in zip(*sums, strict=True)
        )
        return np.asarray(first), np.asarray(second)

    def _values(self, rows: np.ndarray) -> np.ndarray:
        return shrink(self.images(rows))

    def chunks(self) -> Iterator[np.ndarray]:
        """Yields the rows of all images, a part at a time."""
        for start in range(0, len(self), _AT_A_TIME):
            yield np.arange(start, min(start + _AT_A_TIME, len(self)))

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


def find_inside(values: np.ndarray) -> np.ndarray:
    """Finds the pixels inside of bars of one value at the edges.

    Args:
        values: Shape `(n, height, width, channels)`.

    Returns:
        Booleans, shape `(n, height, width)`.

    Example:

    >>> image = np.array([[0, 1, 0], [50, 30, 40], [20, 50, 90]])
    >>> find_inside(image[None, ..., None]).sum(axis=2)
    array([[0, 3, 3]])
    """
    inside = np.ones(values.shape[:3], bool)
    for axis in (1, 2):
        lines = np.moveaxis(values, axis, 1)
        flat = np.ptp(lines.reshape(*lines.shape[:2], -1), axis=2) <= _BAR
        back = np.minimum.accumulate(flat[:, ::-1], axis=1)[:, ::-1]
        bars = np.minimum.accumulate(flat, axis=1) | back
        inside &= ~np.expand_dims(bars, 3 - axis)
    return inside


def _normalize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns images as units, and which of their pixels are inside."""
    inside = find_inside(values)
    return _to_units(values, inside, FLAT), inside


def _sharpen(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the same of the differences of pixels to those around them."""
    inside = uniform_filter(find_inside(values) * 9.0, (0, 3, 3),
                            mode="constant") > 8.5  # fmt: skip
    around = uniform_filter(values, (0, 3, 3, 0), mode="nearest")
    return _to_units(values - around, inside, 0.0), inside


def _subtract(
    units: np.ndarray, inside: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """Takes the mean image off units, and lays them out as vectors."""
    there = np.asarray(units.any(axis=(1, 2, 3)))
    rest = _to_units(units - mean, inside & there[:, None, None], 0.0)
    return rest.reshape(len(units), -1)


def _to_units(
    values: np.ndarray, inside: np.ndarray, flat: float
) -> np.ndarray:
    """Takes the mean off the pixels inside, and gives them the length 1."""
    axes = (1, 2, 3)
    kept = np.broadcast_to(inside[..., None], values.shape)
    number = np.maximum(kept.sum(axis=axes, keepdims=True), 1)
    mean = (values * kept).sum(axis=axes, keepdims=True) / number
    values = np.where(kept, values - mean, 0).astype(np.float32)
    length = np.sqrt((values**2).sum(axis=axes, keepdims=True))
    is_flat = length <= np.maximum(flat * np.sqrt(number), 1e-6)
    return np.where(is_flat, 0, values / np.maximum(length, 1e-9)).astype(
        np.float32
    )


class NearDuplicates(NamedTuple):
    """Pairs and groups of images that are equal or nearly so.

    Args:
        group: The first image that is equal to each, shape `(n,)`.
        pairs: Rows of the first of two groups, shape `(num_pairs, 2)`.
        correlations: Of their pixels.
    """

    group: np.ndarray
    pairs: np.ndarray
    correlations: np.ndarray


def find_near_duplicates(
    vectors: Vectors, *, threshold: float = ALIKE
) -> NearDuplicates:
    """Finds equal and nearly equal images.

    Two unit vectors with a correlation of `c` are `sqrt(2 - 2c)` apart, and a
    projection on orthonormal directions brings them no further apart. A tree
    finds all pairs within that distance along the first principal directions
    (and in the length of the rest), so that none is missed, and these alone are
    compared pixel by pixel, and by their structure.

    Args:
        vectors: The images.
        threshold: Correlation from which two images are nearly equal.

    Reference:
        [Bentley, 1975](https://doi.org/10.1145/361002.361007).
    """
    group = _group(vectors.digests())
    firsts = np.unique(group)
    points = _project(vectors, firsts)
    pairs, correlations = [], []
    for candidates in _find_candidates(points, threshold):
        rows = firsts[candidates]
        values = _correlate(vectors.units, rows)
        rows, values = rows[values >= threshold], values[values >= threshold]
        alike = _correlate(vectors.structures, rows) >= STRUCTURE
        pairs.append(rows[alike])
        correlations.append(values[alike])
    return NearDuplicates(
        group,
        np.concatenate([np.empty((0, 2), np.int64), *pairs]),
        np.concatenate([np.empty(0, np.float32), *correlations]),
    )


def _group(digests: list[bytes]) -> np.ndarray:
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(d, at) for at, d in enumerate(digests)])


def _project(vectors: Vectors, rows: np.ndarray) -> np.ndarray:
    """Projects images on the principal directions of some of them.

    Returns:
        Shape `(num_rows, directions + 1)`; the last is the length of the rest.
        Flat images are far from everything, and from each other.
    """
    step = max(1, len(rows) // _SAMPLE)
    sample = vectors.units(rows[::step])
    products = sample @ sample.T
    _, directions = np.linalg.eigh(products.astype(np.float64))
    count = min(_DIRECTIONS, *sample.shape)
    basis, _ = np.linalg.qr(sample.T @ directions[:, -count:])
    points = np.empty((len(rows), basis.shape[1] + 1), np.float64)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        units = vectors.units(rows[part])
        points[part, :-1] = units @ basis
        rest = (units**2).sum(axis=1) - (points[part, :-1] ** 2).sum(axis=1)
        points[part, -1] = np.sqrt(np.maximum(rest, 0))
        flat = ~units.any(axis=1)
        points[part, -1][flat] = 10.0 * (1 + start + np.flatnonzero(flat))
    return points


def _find_candidates(
    points: np.ndarray, threshold: float
) -> Iterator[np.ndarray]:
    """Yields pairs of points that are near enough, the smaller index first."""
    radius = np.sqrt(2 - 2 * threshold) + _SLACK
    tree = cKDTree(points)
    for start in range(0, len(points), _CHUNK):
        near = tree.query_ball_point(points[start : start + _CHUNK], radius)
        counts = [len(rights) for rights in near]
        lefts = np.repeat(np.arange(start, start + len(near)), counts)
        rights = np.concatenate([np.array(points, int) for points in near])
        ahead = lefts < rights
        yield np.stack([lefts[ahead], rights[ahead]], axis=1)


def _correlate(
    describe: Callable[[np.ndarray], np.ndarray], pairs: np.ndarray
) -> np.ndarray:
    """Returns the correlation of each pair, of the vectors of their rows."""
    values = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _PAIRS):
        part = slice(start, start + _PAIRS)
        rows, at = np.unique(pairs[part], return_inverse=True)
        units = describe(rows)
        left, right = at.reshape(-1, 2).T
        values[part] = np.einsum("nd,nd->n", units[left], units[right])
    return values
