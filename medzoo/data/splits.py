"""Stratified subsets and splits, with or without groups."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medzoo.data.dataset import Dataset, Split
from medzoo.tasks import SPLITS


def take_stratified(split: Split, max_images: int, *, seed: int) -> Split:
    """Draws a subset in which every class keeps its share.

    Only the images that are kept are read, so `split.images` may be a memory
    map. Unlabelled images count as a class of their own. Every class keeps at
    least one image, unless there are more classes than `max_images`.

    Args:
        split: What to draw from.
        max_images: Images to keep, in their original order.
        seed: Decides which images of a class are kept.

    Raises:
        ValueError: If `max_images` is less than 1.

    Example:

    >>> images = np.zeros((10, 28, 28, 1), "uint8")
    >>> split = Split(images, np.array([0] * 8 + [1] * 2, "int32"))
    >>> take_stratified(split, 5, seed=0).labels
    array([0, 0, 0, 0, 1], dtype=int32)
    """
    if max_images < 1:
        raise ValueError(
            "`max_images` must be at least 1. "
            f"Received: max_images={max_images}."
        )
    if len(split) <= max_images:
        return split
    labels, supports = np.unique(split.labels, return_counts=True)
    least = 1 if max_images >= len(labels) else 0
    counts = apportion(supports.tolist(), max_images, least=least)
    order = np.random.default_rng(seed).permutation(len(split))
    drawn = [
        order[split.labels[order] == label][:count]
        for label, count in zip(labels, counts, strict=True)
    ]
    kept = np.sort(np.concatenate(drawn))
    return split.take(kept)


def apportion(weights: Sequence[int], total: int, *, least: int) -> list[int]:
    """Divides `total` in proportion to `weights`, in whole numbers.

    The method of the largest remainder; parts below `least` become `least`, and
    the others share the rest. Integer arithmetic alone, so the
    same everywhere.

    Args:
        weights: Positive whole numbers.
        total: The sum of the parts; `least * len(weights)` or more.
        least: The smallest part.

    Example:

    >>> apportion([90, 9, 1], 10, least=1)
    [8, 1, 1]
    """
    parts = [least] * len(weights)
    rest = list(range(len(weights)))
    while rest:
        total_weight = sum(weights[i] for i in rest)
        due = total - least * (len(weights) - len(rest))
        enough = [i for i in rest if weights[i] * due >= least * total_weight]
        if enough == rest:
            break
        rest = enough
    for i in rest:
        parts[i] = weights[i] * due // total_weight
    rest.sort(key=lambda i: -(weights[i] * due % total_weight))
    for i in rest[: total - sum(parts)]:
        parts[i] += 1
    return parts


NUM_FOLDS = 5


def resplit(dataset: Dataset, *, seed: int) -> Dataset:
    """Splits the images of train and val into three parts, by class.

    The new test split is a fifth of train and val; the official one is not
    read. Seeds 0 to 4 hold out one fifth each, so that together they hold out
    every image once; seeds 5 to 9 do so with other fifths, and so on. Val keeps
    its share of the rest.

    Args:
        dataset: Its train and val are read into memory.
        seed: Decides which images are held out.

    Example:

    >>> images = np.zeros((10, 28, 28, 1), "uint8")
    >>> split = Split(images, np.arange(10, dtype="int32") % 2)
    >>> data = Dataset("toy", ("a", "b"), split, split, split, "toy")
    >>> parts = resplit(data, seed=3)
    >>> len(parts.train), len(parts.val), len(parts.test)
    (8, 8, 4)
    """
    pooled = dataset.train.join(dataset.val)
    labels = pooled.labels
    repeat, fold = divmod(seed, NUM_FOLDS)
    order = np.random.default_rng([repeat, len(labels)]).permutation(
        len(labels)
    )
    # By class, each in random order: every k-th image has its share of each.
    order = order[np.argsort(labels[order], kind="stable")]
    places = np.arange(len(order))
    held_out = places % NUM_FOLDS == fold
    rest = order[~held_out]
    num_val = round(len(rest) * len(dataset.val) / len(labels))
    steps = np.arange(len(rest) + 1) * num_val // len(rest)
    is_val = np.diff(steps).astype(bool)

    def take(indices: np.ndarray) -> Split:
        return pooled.take(np.sort(indices))

    return replace(
        dataset,
        train=take(rest[~is_val]),
        val=take(rest[is_val]),
        test=take(order[held_out]),
        fingerprint=f"{dataset.fingerprint}, resplit {seed}",
    )


def draw_splits(
    labels: np.ndarray,
    groups: Sequence[str],
    *,
    val: float,
    test: float,
    seed: int,
) -> np.ndarray:
    """Draws a split in which every class keeps its share.

    Images of one group stay together; shares are then met as nearly as groups
    allow. Each goes, in a random order, to the split that lacks most of it. A
    class of three images has one in each.

    Args:
        labels: Whole numbers from 0, shape `(n,)`.
        groups: Of each image; an empty one is a group of its own.
        val: Share of val, 0 to 1.
        test: Share of test.
        seed: Decides which image goes where.

    Example:

    >>> draw_splits(
    ...     np.zeros(10, int), [""] * 10, val=0.1, test=0.2, seed=0
    ... ).tolist().count("test")
    2
    """
    shares = [round(1e6 * share) for share in (1 - val - test, val, test)]
    counts = np.bincount(labels)
    wanted = np.array([_divide(shares, count) for count in counts.tolist()]).T
    wanted = wanted / np.maximum(counts, 1)
    drawn = np.empty(len(labels), dtype="<U5")
    for members in _shuffled_groups(groups, seed):
        held = np.bincount(labels[members], minlength=len(counts))
        # What is left of the wish of each split, over the group's classes.
        chosen = int(np.argmax(wanted @ held))
        wanted[chosen] -= held / np.maximum(counts, 1)
        drawn[members] = SPLITS[chosen]
    return drawn


def _divide(shares: Sequence[int], count: int) -> list[int]:
    """Divides a class among the splits that have a share, one each at least."""
    some = [share for share in shares if share]
    if count < len(some):
        return [count, 0, 0]
    parts = iter(apportion(some, count, least=1))
    return [next(parts) if share else 0 for share in shares]


def _shuffled_groups(groups: Sequence[str], seed: int) -> list[list[int]]:
    """Lists the images of each group, the groups in a random order."""
    members: dict[str | int, list[int]] = {}
    for index in np.random.default_rng(seed).permutation(len(groups)).tolist():
        members.setdefault(groups[index] or index, []).append(index)
    return list(members.values())
