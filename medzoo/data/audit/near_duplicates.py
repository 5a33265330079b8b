"""Search for near-duplicate images without comparing all pairs."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from medzoo.data.dataset import Split

# Larger images are compared by the means of areas of their pixels, and what is
# in doubt by its finest structure.
MOST_PIXELS, FINEST_PIXELS = 32, 64
# Grey levels of standard deviation below which an image shows nothing.
FLAT = 0.5
_AT_A_TIME = 512
# Correlations from which two images are near-duplicates: of what they have
# beside the mean image, and of its structure.
ALIKE, STRUCTURE = 0.95, 0.95
# Standard deviations in pixels of the blurs whose difference is structure.
_FINER, _COARSER = 1.0, 2.0
# Share of pixels that carry a correlation, below which the finest structure has
# to correlate as well: two small spots in one place are much alike.
_SPREAD, _FINEST = 0.1, 0.9
# Quarter turns, then the same of mirrored images.
NUM_TURNS = 8
# Levels within which the pixels of a bar lie, after a JPEG.
_BAR = 4
# Images that make a mean image, and below which there is none.
_MEAN_OF, _FEW = 2000, 20
# Principal directions of the search, and images that they are taken from.
_DIRECTIONS = 48
_SAMPLE = 1500
_CHUNK = 512
_PAIRS = 4096
# Bytes of the vectors of all images that are kept while they are compared.
_KEPT = 2**29
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

    def units(self, rows: np.ndarray, turn: int = 0) -> np.ndarray:
        """Returns what images have beside the mean image, of length 1.

        Bars of one value at the edges, as padding adds, are left out. The
        product of two of them is Pearson's correlation of their differences
        to what all images share.

        Args:
            rows: Of the images.
            turn: How they are turned before: see `turn_images`.

        Returns:
            `float32`, shape `(num_rows, num_pixels)`; zeros for a flat image.
        """
        values = turn_images(self._values(rows), turn)
        return _subtract(*_normalize(values), self._means[0])

    def structures(self, rows: np.ndarray, turn: int = 0) -> np.ndarray:
        """Returns the difference of a finer and a coarser blur as `units`.

        They tell images that are alike in their light and layout alone, and
        leave out what is lost when an image is scaled or compressed.
        """
        values = turn_images(self._values(rows), turn)
        return _subtract(*_find_structure(values), self._means[1])

    def finest(self, rows: np.ndarray, turn: int = 0) -> np.ndarray:
        """Returns the difference of pixels to their 3 x 3 means as `units`."""
        values = turn_images(self._values(rows, FINEST_PIXELS), turn)
        return _subtract(*_sharpen(values), np.zeros(1, np.float32))

    def spreads(self, rows: np.ndarray) -> np.ndarray:
        """Returns the share of pixels that carries most of `units`.

        Returns:
            Shape `(num_rows, 1)`; about a third for normal values.
        """
        units = self.units(rows)
        weight = np.count_nonzero(units, axis=1) * (units**4).sum(axis=1)
        return 1 / np.maximum(weight, 1)[:, None]

    @functools.cached_property
    def _means(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean image and its structure; 0 where images are few."""
        step = -(-len(self) // _MEAN_OF)
        rows = np.arange(0, len(self), step)
        if len(rows) < _FEW:
            return np.zeros(1, np.float32), np.zeros(1, np.float32)
        parts = np.array_split(rows, -(-len(rows) // _AT_A_TIME))
        sums = [
            (
                _normalize(values)[0].sum(axis=0),
                _find_structure(values)[0].sum(axis=0),
            )
            for values in map(self._values, parts)
        ]
        first, second = (
            sum(one) / len(rows) for one in zip(*sums, strict=True)
        )
        return np.asarray(first), np.asarray(second)

    def _values(
        self, rows: np.ndarray, most_pixels: int = MOST_PIXELS
    ) -> np.ndarray:
        return shrink(self.images(rows), most_pixels)

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


def turn_images(images: np.ndarray, turn: int) -> np.ndarray:
    """Turns images by quarters; from 4 on, mirrored ones.

    Example:

    >>> image = np.array([[1, 2], [3, 4]])[None, ..., None]
    >>> turn_images(image, 1)[0, ..., 0].tolist()
    [[2, 4], [1, 3]]
    >>> turn_images(image, 4)[0, ..., 0].tolist()
    [[2, 1], [4, 3]]
    """
    mirrored = images[:, :, ::-1] if turn >= 4 else images
    return np.rot90(mirrored, turn % 4, axes=(1, 2))


def shrink(images: np.ndarray, most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """Takes the means of areas, so that at most 32 x 32 are left.

    Example:

    >>> shrink(np.zeros((1, 130, 130, 3), np.uint8)).shape
    (1, 32, 32, 3)
    """
    size = images.shape[1]
    values = images.astype(np.float32)
    if size <= most_pixels:
        return values
    edges = np.linspace(0, size, most_pixels + 1)[:, None]
    covered = np.clip(edges - np.arange(size), 0, 1)
    weights = np.diff(covered, axis=0) * most_pixels / size
    weights = weights.astype(np.float32)
    rows = np.tensordot(weights, values, (1, 1))  # (pixels, n, width, channels)
    return np.ascontiguousarray(
        np.tensordot(weights, rows, (1, 2)).transpose(2, 1, 0, 3)
    )


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
    """Scales images to length 1; also returns which pixels are inside bars."""
    inside = find_inside(values)
    return _to_units(values, inside, FLAT), inside


def _sharpen(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales the differences of pixels to their 3 x 3 means to length 1."""
    from scipy.ndimage import uniform_filter

    inside = _erode(find_inside(values))
    around = uniform_filter(values, (0, 3, 3, 0), mode="nearest")
    return _to_units(values - around, inside, 0.0), inside


def _find_structure(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales the difference of a finer and a coarser blur to length 1."""
    from scipy.ndimage import gaussian_filter

    finer, coarser = (
        gaussian_filter(values, (0, deviation, deviation, 0), mode="nearest")
        for deviation in (_FINER, _COARSER)
    )
    inside = _erode(find_inside(values))
    return _to_units(finer - coarser, inside, 0.0), inside


def _erode(inside: np.ndarray) -> np.ndarray:
    """Leaves out what is beside the pixels outside, or at the edge."""
    from scipy.ndimage import uniform_filter

    around = uniform_filter(inside * 9.0, (0, 3, 3), mode="constant")
    return np.asarray(around > 8.5)


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
        turns: How the second is turned to be like the first; 0 if it is not.
    """

    group: np.ndarray
    pairs: np.ndarray
    correlations: np.ndarray
    turns: np.ndarray


def find_near_duplicates(
    vectors: Vectors, *, num_turns: int = NUM_TURNS
) -> NearDuplicates:
    """Finds equal and nearly equal images, turned and mirrored ones as well.

    The correlation of two unit vectors is at most the product of their
    projections on orthonormal directions plus that of the lengths of the rest
    (Cauchy and Schwarz). So the pairs above the limit along the first principal
    directions have all that are to be found, and these alone are compared pixel
    by pixel, and by their structure.

    Args:
        vectors: The images.
        num_turns: 1 leaves out images that are turned or mirrored, 4 those that
            are mirrored.
    """
    group = _group(vectors.digests())
    firsts = np.unique(group)
    found = [
        pairs
        for turn, candidates in _find_candidates(vectors, firsts, num_turns)
        for pairs in [_confirm(vectors, turn, candidates)]
    ]
    pairs = np.concatenate([np.empty((0, 2), np.int64), *(f[0] for f in found)])
    values = np.concatenate([np.empty(0, np.float32), *(f[1] for f in found)])
    turns = np.repeat(np.arange(len(found)), [len(f[0]) for f in found])
    # A symmetric image is like another in several turns.
    order = np.lexsort((turns, pairs[:, 1], pairs[:, 0]))
    _, first = np.unique(pairs[order], axis=0, return_index=True)
    kept = order[first]
    return NearDuplicates(group, pairs[kept], values[kept], turns[kept])


def _group(digests: list[bytes]) -> np.ndarray:
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(d, at) for at, d in enumerate(digests)])


def _find_candidates(
    vectors: Vectors, rows: np.ndarray, num_turns: int
) -> Iterator[tuple[int, "_Scored"]]:
    """Yields the pairs of every turn that correlate, by all their pixels."""
    step = max(1, len(rows) // _SAMPLE)
    basis = _choose_directions(vectors.units(rows[::step]))
    upright = _Units(vectors, rows, basis)
    for turn in range(num_turns):
        turned = _Units(vectors, rows, basis, turn) if turn else upright
        parts = []
        for pairs in _bound(upright.points, turned.points):
            values = _correlate(upright.read, turned.read, pairs)
            parts.append((pairs[values >= ALIKE], values[values >= ALIKE]))
        pairs, values = (np.concatenate(p) for p in zip(*parts, strict=True))
        yield turn, _Scored(rows[pairs], values)


class _Scored(NamedTuple):
    pairs: np.ndarray
    values: np.ndarray


def _confirm(vectors: Vectors, turn: int, found: _Scored) -> _Scored:
    """Leaves the pairs whose structure is alike."""

    def correlate(
        call: Callable[..., np.ndarray], pairs: np.ndarray
    ) -> np.ndarray:
        return _correlate(call, functools.partial(call, turn=turn), pairs)

    kept = correlate(vectors.structures, found.pairs) >= STRUCTURE
    pairs, values = found.pairs[kept], found.values[kept]
    spread = _correlate(vectors.spreads, vectors.spreads, pairs)
    doubtful = np.flatnonzero(spread < _SPREAD**2)
    kept = np.ones(len(pairs), bool)
    kept[doubtful] = correlate(vectors.finest, pairs[doubtful]) >= _FINEST
    return _Scored(pairs[kept], values[kept])


class _Units:
    """Unit vectors of images, kept if they are few, and their projections.

    Args:
        vectors: The images.
        rows: Which of them.
        basis: The directions, in its columns.
        turn: How they are turned.

    Attributes:
        points: Projections, and the lengths of the rest; zeros of flat images.
    """

    def __init__(
        self,
        vectors: Vectors,
        rows: np.ndarray,
        basis: np.ndarray,
        turn: int = 0,
    ) -> None:
        self._vectors, self._rows, self._turn = vectors, rows, turn
        self.points = np.zeros((len(rows), basis.shape[1] + 1), np.float32)
        is_kept = len(rows) * len(basis) * 4 <= _KEPT
        shape = (len(rows) if is_kept else 0, len(basis))
        self._units = np.empty(shape, np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            units = vectors.units(rows[part], turn)
            points = units @ basis
            rest = (units**2).sum(axis=1) - (points**2).sum(axis=1)
            self.points[part, :-1] = points
            self.points[part, -1] = np.sqrt(np.maximum(rest, 0))
            if is_kept:
                self._units[part] = units

    def read(self, at: np.ndarray) -> np.ndarray:
        """Returns the units at some places of the rows."""
        if len(self._units):
            return self._units[at]
        return self._vectors.units(self._rows[at], self._turn)


def _choose_directions(sample: np.ndarray) -> np.ndarray:
    """Returns about the principal directions of some units, in columns.

    Any will do, and these leave the fewest pairs to compare.

    Reference:
        [Halko et al., 2011](https://arxiv.org/abs/0909.4061).
    """
    count = min(_DIRECTIONS, *sample.shape)
    random = np.random.default_rng(0)
    basis = random.normal(size=(sample.shape[1], count)).astype(np.float32)
    for _ in range(3):
        basis, _ = np.linalg.qr(sample.T @ (sample @ basis))
    return basis


def _bound(left: np.ndarray, right: np.ndarray) -> Iterator[np.ndarray]:
    """Yields pairs that may correlate enough, the smaller place first."""
    for start in range(0, len(left), _CHUNK):
        products = left[start : start + _CHUNK] @ right[start:].T
        pairs = np.argwhere(products >= ALIKE - _SLACK)
        yield pairs[pairs[:, 0] < pairs[:, 1]] + start


def _correlate(
    left: Callable[[np.ndarray], np.ndarray],
    right: Callable[[np.ndarray], np.ndarray],
    pairs: np.ndarray,
) -> np.ndarray:
    """Returns the correlation of each pair, of the vectors of their rows."""
    values = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _PAIRS):
        part = slice(start, start + _PAIRS)
        vectors = []
        for describe, rows in zip((left, right), pairs[part].T, strict=True):
            rows, at = np.unique(rows, return_inverse=True)
            vectors.append(describe(rows)[at.reshape(-1)])
        values[part] = np.einsum("nd,nd->n", *vectors)
    return values
