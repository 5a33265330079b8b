"""Pairs of images that show the same, without comparing all with all."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from medzoo.data.audit.vectors import Vectors

# Correlation of pixels from which two images are taken for one.
ALIKE = 0.99
# Directions that candidates are looked for in, and images they are found from.
_DIRECTIONS = 24
_SAMPLE = 1500
_CHUNK = 512
_PAIRS = 4096
# For rounding.
_SLACK = 1e-3


class Twins(NamedTuple):
    """Images that are equal, and images that are nearly so.

    Args:
        group: The first image that is equal to each, shape `(n,)`.
        pairs: Rows of the first of two groups, shape `(num_pairs, 2)`.
        correlations: Of their pixels.
    """

    group: np.ndarray
    pairs: np.ndarray
    correlations: np.ndarray


def find_twins(vectors: Vectors, *, threshold: float = ALIKE) -> Twins:
    """Finds equal and nearly equal images.

    Two unit vectors with a correlation of `c` are `sqrt(2 - 2c)` apart, and no
    projection on orthonormal directions takes them further apart. So all pairs
    lie within that distance along the first principal directions (and in the
    length of what they leave), where a tree finds them; nothing is missed, and
    only these candidates are compared pixel by pixel.

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
        found = _correlate(vectors, rows)
        pairs.append(rows[found >= threshold])
        correlations.append(found[found >= threshold])
    return Twins(
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
        counts = [len(found) for found in near]
        lefts = np.repeat(np.arange(start, start + len(near)), counts)
        rights = np.concatenate([np.array(found, int) for found in near])
        ahead = lefts < rights
        yield np.stack([lefts[ahead], rights[ahead]], axis=1)


def _correlate(vectors: Vectors, pairs: np.ndarray) -> np.ndarray:
    """Returns the correlation of the pixels of each pair."""
    found = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _PAIRS):
        part = slice(start, start + _PAIRS)
        rows, at = np.unique(pairs[part], return_inverse=True)
        units = vectors.units(rows)
        left, right = at.reshape(-1, 2).T
        found[part] = np.einsum("nd,nd->n", units[left], units[right])
    return found
