"""Order of images in batches of train, by seed and sampling."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from medzoo.data.dataset import Split

_GOLDEN_RATIO = (5**0.5 - 1) / 2


def batch_indices(
    num_images: int, batch_size: int, *, seed: int, start: int = 0
) -> Iterator[np.ndarray]:
    """Yields the indices of one batch after the other, without end.

    One permutation follows the other without a gap: every batch is full, and
    every image is seen once before any is seen again.

    Args:
        num_images: Number of images to draw from.
        batch_size: Images a batch; no more than there are.
        seed: Decides the order.
        start: Number of batches to pass over, as after an interruption.

    Example:

    >>> batches = batch_indices(5, 2, seed=0)
    >>> sorted(int(i) for _ in range(5) for i in next(batches))
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    """
    batch_size = min(batch_size, num_images)
    images = _Images(num_images, seed, position=start * batch_size)
    while True:
        yield images.take(batch_size)


def mixed_batch_indices(
    sizes: Sequence[int],
    batch_size: int,
    *,
    alpha: float,
    seed: int,
    start: int = 0,
) -> Iterator[np.ndarray]:
    """Yields batches of several tasks: of `n` images in proportion to `n**a`.

    Every batch is full, and holds the share of each task to within one image:
    its places are even on the unit interval, which the tasks divide among them,
    and move by the golden ratio from batch to batch, so that shares are exact
    in the long run (Weyl's sequence). Each task has an own, endless order. With
    one task these are the batches of `batch_indices`.

    Args:
        sizes: Images of each task, in the order of the tasks.
        batch_size: Images a batch; no more than there are.
        alpha: The exponent `a`: 0 draws all tasks alike, 1 as often as they
            have images.
        seed: Decides order and places.
        start: As for `batch_indices`.

    Example:

    >>> batches = mixed_batch_indices([4, 400], 8, alpha=0.0, seed=0)
    >>> [int((next(batches) < 4).sum()) for _ in range(3)]
    [4, 4, 4]
    """
    batch_size = min(batch_size, sum(sizes))
    weights = np.asarray(sizes, "float64") ** alpha
    ends = batch_size * np.cumsum(weights / weights.sum())
    ends[-1] = batch_size
    shift = np.random.default_rng(seed).random()

    def count(steps: np.ndarray) -> np.ndarray:
        """Returns the images of each task, shape `(num_steps, num_tasks)`."""
        offsets = (shift + _GOLDEN_RATIO * steps) % 1
        places = np.ceil(ends - offsets[:, None]).clip(0)
        return np.diff(places, prepend=0).astype("int64")

    taken = count(np.arange(start)).sum(axis=0)
    images = [
        _Images(size, seed, position=int(position))
        for size, position in zip(sizes, taken, strict=True)
    ]
    firsts = np.cumsum([0, *sizes[:-1]])
    for step in itertools.count(start):
        counts = count(np.array([step]))[0]
        drawn = zip(images, counts, firsts, strict=True)
        yield np.concatenate([i.take(n) + first for i, n, first in drawn])


class _Images:
    """Indices of a task's images: one permutation follows the other."""

    def __init__(self, num_images: int, seed: int, *, position: int) -> None:
        self._num_images = num_images
        self._seed = seed
        self._epoch, self._offset = divmod(position, num_images)
        self._order = _permutation(num_images, seed, self._epoch)

    def take(self, count: int) -> np.ndarray:
        """Returns the next indices."""
        parts = [self._order[self._offset : self._offset + count]]
        self._offset += count
        while self._offset > self._num_images:
            self._offset -= self._num_images
            self._epoch += 1
            self._order = _permutation(
                self._num_images, self._seed, self._epoch
            )
            parts.append(self._order[: self._offset])
        return np.concatenate(parts)


def _permutation(num_images: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(num_images)


def gather(split: Split, indices: np.ndarray) -> tuple[np.ndarray, Any]:
    """Returns the images at `indices`, and their targets."""
    return split.images[indices], split.targets(indices)


def sampled_indices(
    labels: np.ndarray,
    batch_size: int,
    *,
    sampling: str,
    seed: int,
    start: int = 0,
) -> Iterator[np.ndarray]:
    """Yields the indices of batches with equally many images of each class.

    A round has as many images of each class as the largest class has; those of
    a smaller one are drawn equally often, some once more. Every batch is full,
    and one round follows the other without a gap.

    Args:
        labels: Integers, shape `(n,)`; images labelled -1 are never drawn.
        batch_size: Images a batch; no more than there are.
        sampling: `oversample` for a random order; `balanced_batches` lets the
            classes take turns, so that each batch has equally many of all, of
            some one more.
        seed: Decides the order.
        start: As for `batch_indices`.

    Example:

    >>> labels = np.array([0, 0, 0, 0, 1, 1])
    >>> batches = sampled_indices(labels, 4, sampling="oversample", seed=0)
    >>> np.bincount(np.concatenate([next(batches), next(batches)])).tolist()
    [1, 1, 1, 1, 2, 2]
    """
    present = np.unique(labels[labels >= 0])
    members = [np.flatnonzero(labels == label) for label in present]
    largest = max(map(len, members))
    length = largest * len(members)

    def make_round(number: int) -> np.ndarray:
        generator = np.random.default_rng([seed, number])
        drawn = np.stack(
            [np.resize(generator.permutation(own), largest) for own in members]
        )
        if sampling == "balanced_batches":
            return drawn.T.ravel()
        return generator.permutation(drawn.ravel())

    batch_size = min(batch_size, len(labels))
    number, offset = divmod(start * batch_size, length)
    rest = make_round(number)[offset:]
    while True:
        while len(rest) < batch_size:
            number += 1
            rest = np.concatenate([rest, make_round(number)])
        yield rest[:batch_size]
        rest = rest[batch_size:]
