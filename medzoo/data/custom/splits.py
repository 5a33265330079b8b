"""A split for images that come without one: by class, and by group."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medzoo.data.custom.listing import Item
from medzoo.data.splits import apportion
from medzoo.tasks import SPLITS


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
    allow. Each goes, in a random order, to the split that lacks most of it.

    Args:
        labels: Whole numbers from 0, shape `(n,)`.
        groups: Of each image; an empty one is a group of its own.
        val: Share of val, 0 to 1.
        test: Share of test.
        seed: Decides which image goes where.

    Returns:
        `train`, `val` or `test` for each image. A class of three images has
        one in each.

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
    found: dict[str | int, list[int]] = {}
    for index in np.random.default_rng(seed).permutation(len(groups)).tolist():
        found.setdefault(groups[index] or index, []).append(index)
    return list(found.values())


def complete_splits(
    items: Sequence[Item], options: Mapping[str, Any]
) -> list[str]:
    """Returns the split of each image: as given, or drawn.

    Where only train and test are given, val is drawn from train; where only
    train and val, test.

    Args:
        items: All good images.
        options: All options of the source.

    Raises:
        ValueError: If some images have a split and others have none, or if a
            split would be empty.
    """
    given = [item.split for item in items]
    missing = [split for split in SPLITS if split not in given]
    if not all(given) and any(given):
        raise ValueError(
            f"{given.count('')} of {len(given)} images have no split. Expected "
            "one for every image or for none."
        )
    if missing and items:
        pool = [i for i, split in enumerate(given) if split in ("", "train")]
        names = [items[i].label for i in pool]
        _, labels = np.unique(names, return_inverse=True)
        drawn = draw_splits(
            labels,
            [items[i].group for i in pool],
            val=options["val"] if "val" in missing else 0.0,
            test=options["test"] if "test" in missing else 0.0,
            seed=options["split_seed"],
        )
        for index, split in zip(pool, drawn.tolist(), strict=True):
            given[index] = split
    if empty := [split for split in SPLITS if split not in given]:
        raise ValueError(
            f"No image is left for {' and '.join(empty)}. Expected at least "
            "one class of three images, in three groups where there are "
            f"groups. Received: {len(items)} good images."
        )
    return given
