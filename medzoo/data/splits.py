"""Stratified subsets and splits, with or without groups."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from medzoo.data.dataset import Dataset, Split
from medzoo.tasks import SPLITS

# Groups of which every split is tried, and of which some exchanges are.
_FEW, _MOST = 9, 60


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
    rows = draw_fifth(pooled.labels, len(dataset.val), seed=seed)
    train, val, test = map(pooled.take, rows)
    anew = replace(
        dataset,
        train=train,
        val=val,
        test=test,
        fingerprint=f"{dataset.fingerprint}, resplit {seed}",
    )
    return renew_notes(dataset, anew, describe_fifths())


def draw_fifth(
    labels: np.ndarray, num_val: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws the rows of train, val and test of `resplit`.

    Args:
        labels: Of train and val in turn.
        num_val: How many of them are of val.
        seed: Decides which are held out.
    """
    repeat, fold = divmod(seed, NUM_FOLDS)
    order = np.random.default_rng([repeat, len(labels)]).permutation(
        len(labels)
    )
    # By class, each in random order: every k-th image has its share of each.
    order = order[np.argsort(labels[order], kind="stable")]
    held_out = np.arange(len(order)) % NUM_FOLDS == fold
    rest = order[~held_out]
    num_val = round(len(rest) * num_val / len(labels))
    steps = np.arange(len(rest) + 1) * num_val // len(rest)
    is_val = np.diff(steps).astype(bool)
    return (
        np.sort(rest[~is_val]),
        np.sort(rest[is_val]),
        np.sort(order[held_out]),
    )


def describe_fifths(num_groups: int = 0) -> str:
    """Words the splits of `resplit`, those of all seeds alike."""
    return (
        f"Split of train and val anew by each seed, by class"
        f"{describe_whole(num_groups)}: a fifth is held out in place of test, "
        "which is left alone (resplit)."
    )


def describe_whole(num_groups: int) -> str:
    """Words that groups are kept whole, if there are any."""
    return f" and {num_groups} groups kept whole" if num_groups else ""


# How notes begin that are about the split of custom data.
_OF_SPLIT = ("Split ", "Few groups (")


def renew_notes(dataset: Dataset, anew: Dataset, note: str) -> Dataset:
    """Replaces the notes on a split, which another one has taken the place of.

    Args:
        dataset: As it was split before.
        anew: As it is split now.
        note: What is said of that, if anything was said of the split before.
    """
    stale = describe_absent(dataset)
    others = [text for text in dataset.notes if text not in stale]
    kept = [text for text in others if not text.startswith(_OF_SPLIT)]
    first = [note] if len(kept) < len(others) else []
    notes = (*first, *kept, *describe_absent(anew))
    return replace(anew, notes=notes)


def describe_absent(
    dataset: Dataset, splits: Sequence[str] = SPLITS[1:]
) -> list[str]:
    """Words which classes have no image in a split, and what that costs.

    Macro F1 counts a class without images as 0, so that it cannot reach 1.

    Args:
        dataset: The data.
        splits: Those that are scored.

    Example:

    >>> images = np.zeros((2, 4, 4, 1), "uint8")
    >>> both = Split(images, np.array([0, 1], "int32"))
    >>> one = Split(images, np.array([0, 0], "int32"))
    >>> describe_absent(Dataset("toy", ("a", "b"), both, one, both, "toy"))
    ['No image of `b` in val: macro F1 of val can reach 0.500 at most.']
    """
    lines = []
    for split in splits:
        there = np.unique(dataset.splits[split].labels)
        absent = sorted({*range(dataset.num_classes)} - {*there.tolist()})
        if absent and (there >= 0).any():
            names = ", ".join(f"`{dataset.classes[at]}`" for at in absent)
            most = 1 - len(absent) / dataset.num_classes
            lines.append(
                f"No image of {names} in {split}: macro F1 of {split} can "
                f"reach {most:.3f} at most."
            )
    return lines


def describe_torn(groups: Sequence[str], splits: Sequence[str]) -> str:
    """Words how many groups have images in several splits, if any has.

    Args:
        groups: Of each image; empty for one in no group.
        splits: Of each image.

    Example:

    >>> describe_torn(["7", "7", "8", ""], ["train", "test", "val", "val"])
    ' 1 group is in several splits, so scores say too much.'
    """
    pairs = {pair for pair in zip(groups, splits, strict=True) if pair[0]}
    counts = Counter(group for group, _ in pairs)
    torn = sum(count > 1 for count in counts.values())
    if not torn:
        return ""
    noun = "group is" if torn == 1 else "groups are"
    return f" {torn} {noun} in several splits, so scores say too much."


def draw_splits(
    labels: np.ndarray,
    groups: Sequence[str],
    *,
    val: float,
    test: float,
    seed: int,
    marks: np.ndarray | None = None,
) -> np.ndarray:
    """Draws a split in which every class keeps its share.

    Images of one group stay together; shares are then met as nearly as groups
    allow. Each goes, in a random order, to the split that lacks most of it. A
    class of three images, in three groups where there are groups, has one in
    each split, if that is possible for all such classes.

    Args:
        labels: Whole numbers from 0, shape `(n,)`.
        groups: Of each image; an empty one is a group of its own.
        val: Share of val, 0 to 1.
        test: Share of test.
        seed: Decides which image goes where.
        marks: What else each split has to have, such as classes of masks:
            booleans, shape `(n, num_marks)`.

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
    units = shuffle_groups(groups, seed)
    chosen = np.empty(len(units), int)
    held = np.zeros((len(units), len(counts)), np.int32)
    for at, members in enumerate(units):
        held[at] = np.bincount(labels[members], minlength=len(counts))
        # What is left of the wish of each split, over the group's classes.
        chosen[at] = int(np.argmax(wanted @ held[at]))
        wanted[chosen[at]] -= held[at] / np.maximum(counts, 1)
    has = [held > 0, np.ones((len(units), 1), bool)]
    if marks is not None:
        has.append(np.array([marks[members].any(axis=0) for members in units]))
    goal = _Goal(np.hstack(has), held.sum(axis=1), np.array(shares) / 1e6)
    chosen = goal.fill_gaps(chosen)
    drawn = np.empty(len(labels), dtype="<U5")
    for at, members in enumerate(units):
        drawn[members] = SPLITS[chosen[at]]
    return drawn


class _Goal:
    """What a split of groups should have: each class in each of its parts.

    Args:
        has: Whether a group has a class, shape `(num_groups, num_classes)`.
        sizes: Images of each group.
        shares: Of train, val and test.
    """

    def __init__(
        self, has: np.ndarray, sizes: np.ndarray, shares: np.ndarray
    ) -> None:
        self.has, self.sizes, self.shares = has, sizes, shares
        number = has.sum(axis=0)
        self.needed = np.outer(shares > 0, number >= (shares > 0).sum())
        self.needed[0] = number > 0

    def rate(self, chosen: np.ndarray) -> float:
        """Rates a choice; less is better, a class that train lacks is worst."""
        gaps, spread = self._count(chosen)
        return float(gaps[0].sum() * 10 + gaps[1:].sum() + spread / 10)

    def _count(self, chosen: np.ndarray) -> tuple[np.ndarray, float]:
        inside = chosen == np.arange(len(self.shares))[:, None]
        there = np.array([self.has[rows].any(axis=0) for rows in inside])
        gaps = self.needed & ~there
        found = inside @ self.sizes / self.sizes.sum()
        return gaps, float(np.abs(found - self.shares).sum())

    def fill_gaps(self, chosen: np.ndarray) -> np.ndarray:
        """Moves groups until no class is missing; of a few, tries all."""
        if not self._count(chosen)[0].any():
            return chosen
        if len(chosen) <= _FEW:
            parts = np.flatnonzero(self.shares)
            choices = itertools.product(parts, repeat=len(chosen))
            return min(map(np.array, choices), key=self.rate)
        best = self.rate(chosen)
        while True:
            value, found = min(
                ((self.rate(other), at) for at, other in self._moves(chosen)),
                default=(best, ()),
            )
            if value >= best:
                return chosen
            best = value
            chosen = chosen.copy()
            for group, part in found:
                chosen[group] = part

    def _moves(
        self, chosen: np.ndarray
    ) -> Iterator[tuple[tuple[tuple[int, int], ...], np.ndarray]]:
        """Yields moves that fill a gap, alone or as an exchange."""
        for part, kind in np.argwhere(self._count(chosen)[0])[:_FEW].tolist():
            outside = self.has[:, kind] & (chosen != part)
            inside = np.flatnonzero(chosen == part)[:_FEW].tolist()
            for group in np.flatnonzero(outside)[:_MOST].tolist():
                for back in (None, *inside):
                    moves = [(group, part)]
                    if back is not None:
                        moves.append((back, int(chosen[group])))
                    other = chosen.copy()
                    for at, to in moves:
                        other[at] = to
                    yield tuple(moves), other


def _divide(shares: Sequence[int], count: int) -> list[int]:
    """Divides a class among the splits that have a share, one each at least."""
    some = [share for share in shares if share]
    if count < len(some):
        return [count, 0, 0]
    parts = iter(apportion(some, count, least=1))
    return [next(parts) if share else 0 for share in shares]


def shuffle_groups(
    groups: Sequence[str], seed: int | Sequence[int]
) -> list[list[int]]:
    """Lists the images of each group, the groups in a random order.

    Args:
        groups: Of each image; an empty one is a group of its own.
        seed: Of the random order.
    """
    members: dict[str | int, list[int]] = {}
    for index in np.random.default_rng(seed).permutation(len(groups)).tolist():
        members.setdefault(groups[index] or index, []).append(index)
    return list(members.values())
