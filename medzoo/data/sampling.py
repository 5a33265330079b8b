"""Batches in which classes of different sizes are drawn equally often."""

from collections.abc import Iterator

import numpy as np


def sampled_indices(
    labels: np.ndarray,
    batch_size: int,
    *,
    sampling: str,
    seed: int,
    start: int = 0,
) -> Iterator[np.ndarray]:
    """Yields the indices of one batch after the other, without end.

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
        start: Number of batches to pass over, as after an interruption.

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
