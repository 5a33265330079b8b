"""Batches of train, in an order that a seed decides."""

from collections.abc import Iterator

import numpy as np

from medzoo.data.split import Split


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
    epoch, offset = divmod(start * batch_size, num_images)
    order = _permutation(num_images, seed, epoch)
    while True:
        end = offset + batch_size
        if end <= num_images:
            indices = order[offset:end]
        else:
            epoch += 1
            following = _permutation(num_images, seed, epoch)
            indices = np.concatenate([order[offset:], following])[:batch_size]
            order, end = following, end - num_images
        offset = end
        yield indices


def _permutation(num_images: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(num_images)


def gather(split: Split, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images and labels at `indices`."""
    return split.images[indices], split.labels[indices]
