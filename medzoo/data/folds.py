"""Cross-validation: each seed holds out another part of the images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medzoo.data.custom.address import has_files, is_custom, parse_address
from medzoo.data.custom.listing import list_images
from medzoo.data.custom.load import read_groups
from medzoo.data.custom.options import complete
from medzoo.data.dataset import Dataset
from medzoo.data.splits import (
    NUM_FOLDS,
    describe_fifths,
    describe_whole,
    draw_fifth,
    renew_notes,
    resplit,
    shuffle_groups,
)


def hold_out(
    dataset: Dataset,
    source: str,
    size: int,
    options: Mapping[str, Any],
    *,
    seed: int,
) -> Dataset:
    """Holds out the fold of a seed, by the data option `folds`.

    A test split that was given is never a part of it: the folds are of train
    and val then, as they are of published data.

    Args:
        dataset: As it was loaded without folds.
        source: Where it is from.
        size: Of the images.
        options: Data options, `folds` among them.
        seed: Seed of the run.
    """
    groups = _read_groups(source, size, options)
    drawn = _is_drawn(source, size, options)
    folds = int(options["folds"])
    parts = split_into_folds(
        dataset, folds, seed=seed, groups=groups, with_test=drawn
    )
    note = _describe_folds(dataset, folds, groups, drawn=drawn)
    return renew_notes(dataset, parts, note)


def hold_out_fifth(
    dataset: Dataset,
    source: str,
    size: int,
    options: Mapping[str, Any],
    *,
    seed: int,
) -> Dataset:
    """Splits train and val anew as `resplit` does, groups whole.

    Data without groups are split by `resplit` itself. Arguments are those of
    `hold_out`.

    Raises:
        ValueError: If there are fewer groups than parts, if `drop_leaks` has
            left out some of their images, or if there are folds as well.
    """
    groups = _read_groups(source, size, options)
    if not any(groups):
        return resplit(dataset, seed=seed)
    if "folds" in options:
        raise ValueError(
            "`resplit` and `folds` both split the images anew. Expected one of "
            f"them. Received: resplit=True, folds={options['folds']}."
        )
    if len(groups) != sum(map(len, dataset.splits.values())):
        raise ValueError(
            "`drop_leaks` is about one split, not about those of `resplit`, "
            "which keep groups together. Expected one of the two. Received: "
            "resplit=True, drop_leaks=True."
        )
    groups = groups[: len(dataset.train) + len(dataset.val)]
    _require_fifths(groups)
    parts = split_into_folds(dataset, NUM_FOLDS, seed=seed, groups=groups)
    parts = replace(parts, fingerprint=f"{dataset.fingerprint}, resplit {seed}")
    note = describe_fifths(len({*groups} - {""}))
    return renew_notes(dataset, parts, note)


def has_groups(source: str, size: int, options: Mapping[str, Any]) -> bool:
    """Says whether some images have to stay in one split."""
    return any(_read_groups(source, size, options))


def _require_fifths(groups: Sequence[str]) -> None:
    if (count := _count_groups(groups)) < NUM_FOLDS:
        raise ValueError(
            "`resplit` holds out a fifth of train and val, groups whole. "
            f"Expected {NUM_FOLDS} groups there at least. Received: {count}. "
            "Leave out `resplit`, or say how many folds there are by `folds` "
            "in the table [data]."
        )


def find_test_rows(
    dataset: Dataset,
    source: str,
    size: int,
    options: Mapping[str, Any],
    *,
    seed: int,
    resplit: bool = False,
) -> np.ndarray:
    """Returns the rows that a run tests, among train, val and test in turn.

    Args:
        dataset: As it was loaded without folds.
        source: Where it is from.
        size: Of the images.
        options: Data options, `folds` perhaps among them.
        seed: Seed of the run.
        resplit: Whether the run splits train and val anew.
    """
    counts = [len(split) for split in dataset.splits.values()]
    labels = [split.labels for split in dataset.splits.values()]
    if "folds" not in options and not resplit:
        return np.arange(sum(counts[:2]), sum(counts))
    groups = _read_groups(source, size, options)
    if resplit:
        pooled = np.concatenate(labels[:2])
        if not any(groups):
            return draw_fifth(pooled, counts[1], seed=seed)[2]
        return _draw_rows(pooled, groups, NUM_FOLDS, counts[:2], seed)[2]
    drawn = _is_drawn(source, size, options)
    pooled = np.concatenate(labels[: 3 if drawn else 2])
    folds = int(options["folds"])
    return _draw_rows(pooled, groups, folds, counts[:2], seed)[2]


def require_groups(
    dataset: Dataset, source: str, size: int, options: Mapping[str, Any]
) -> None:
    """Checks, before anything is drawn, that no fold would be empty.

    Arguments are those of `hold_out`.

    Raises:
        ValueError: If there are fewer groups than folds, or than splits.
    """
    groups = _read_groups(source, size, options)
    drawn = _is_drawn(source, size, options)
    held = [*dataset.splits.values()][: 3 if drawn else 2]
    groups = _complete(groups, sum(map(len, held)))
    folds = int(options["folds"])
    if _count_groups(groups) < max(folds, 3):
        raise _refuse_folds(folds, groups)


def note_folds(
    dataset: Dataset, source: str, size: int, options: Mapping[str, Any]
) -> tuple[str, ...]:
    """Returns the notes on data whose folds are not drawn yet.

    Arguments are those of `hold_out`.
    """
    note = _describe_folds(
        dataset,
        int(options["folds"]),
        _read_groups(source, size, options),
        drawn=_is_drawn(source, size, options),
    )
    return renew_notes(dataset, dataset, note).notes


def _describe_folds(
    dataset: Dataset, num_folds: int, groups: Sequence[str], *, drawn: bool
) -> str:
    """Words the folds of all seeds alike, so that reports say it once."""
    held, rest = "all images", ""
    if not drawn:
        held, rest = "train and val", ", and the given test split is left alone"
        groups = groups[: len(dataset.train) + len(dataset.val)]
    whole = describe_whole(len({*groups} - {""}))
    return (
        f"Split of {held} into {num_folds} folds by class{whole}: each "
        f"seed tests another one, val is drawn from the others{rest}."
    )


def _complete(groups: Sequence[str], num_images: int) -> list[str]:
    """Returns a group of each image, empty ones where there are none."""
    return list(groups or [""] * num_images)[:num_images]


def _count_groups(groups: Sequence[str]) -> int:
    """Counts groups; each image without one is a group of its own."""
    return len({*groups} - {""}) + groups.count("")


def _refuse_folds(num_folds: int, groups: Sequence[str]) -> ValueError:
    return ValueError(
        "`folds` leave a split without images. Expected more groups than "
        f"folds, or fewer folds. Received: folds={num_folds}, "
        f"{_count_groups(groups)} groups."
    )


def _read_groups(
    source: str, size: int, options: Mapping[str, Any]
) -> list[str]:
    """Returns groups of images; nothing where there are none."""
    if not is_custom(source):
        return []
    return read_groups(source, size, _of_files(options))


def _is_drawn(source: str, size: int, options: Mapping[str, Any]) -> bool:
    """Says whether test was not given with the images."""
    if not has_files(source):
        return False
    given = complete(source, size, _of_files(options))
    items = list_images(parse_address(source), given).items
    return all(item.split != "test" for item in items)


def _of_files(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that decide how files are read."""
    beside = ("folds", "drop_leaks")
    return {k: v for k, v in options.items() if k not in beside}


def split_into_folds(
    dataset: Dataset,
    num_folds: int,
    *,
    seed: int,
    groups: Sequence[str] = (),
    with_test: bool = False,
) -> Dataset:
    """Splits images into folds by class, groups whole, and holds out one.

    Seeds 0 to `num_folds - 1` hold out one fold each, so that each image is
    tested once; the next seeds do so with other folds, and so on. Val keeps its
    share of the rest.

    Args:
        dataset: Its splits are read into memory.
        num_folds: How many; 2 at least.
        seed: Decides which images are held out.
        groups: Of each image of train, val and test; an empty one is a group of
            its own.
        with_test: Whether images of test are among the folds.

    Raises:
        ValueError: If there are fewer groups than folds, or too few for val.

    Example:

    >>> from medzoo.data.dataset import Split
    >>> images = np.zeros((10, 28, 28, 1), "uint8")
    >>> split = Split(images, np.arange(10, dtype="int32") % 2)
    >>> data = Dataset("toy", ("a", "b"), split, split, split, "toy")
    >>> parts = split_into_folds(data, 5, seed=0)
    >>> len(parts.train), len(parts.val), len(parts.test)
    (8, 8, 4)
    """
    pooled = dataset.train.join(dataset.val)
    pooled = pooled.join(dataset.test) if with_test else pooled
    sizes = [len(dataset.train), len(dataset.val)]
    rows = _draw_rows(pooled.labels, groups, num_folds, sizes, seed)
    train, val, test = map(pooled.take, rows)
    return replace(
        dataset,
        train=train,
        val=val,
        test=test,
        fingerprint=f"{dataset.fingerprint}, fold {seed} of {num_folds}",
    )


def _draw_rows(
    labels: np.ndarray,
    groups: Sequence[str],
    num_folds: int,
    sizes: Sequence[int],
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws the rows of train, val and test; `sizes` are of train and val."""
    groups = _complete(groups, len(labels))
    repeat, fold = divmod(seed, num_folds)
    folds = draw_parts(
        labels, groups, [1] * num_folds, seed=[repeat, num_folds]
    )
    rest = np.flatnonzero(folds != fold)
    inner = draw_parts(
        labels[rest],
        [groups[row] for row in rest],
        sizes,
        seed=[repeat, num_folds, fold],
    )
    rows = rest[inner == 0], rest[inner == 1], np.flatnonzero(folds == fold)
    if not all(map(len, rows)):
        raise _refuse_folds(num_folds, groups)
    return rows


def draw_parts(
    labels: np.ndarray,
    groups: Sequence[str],
    weights: Sequence[int],
    *,
    seed: Sequence[int],
) -> np.ndarray:
    """Draws a part for each image: by class, and groups whole.

    Groups go, the largest first and equal ones in a random order, to the part
    that lacks most of their classes and of images. A part that gets none takes
    the smallest of the part that has most groups, unless each has but one.

    Args:
        labels: Shape `(n,)`.
        groups: Of each image; an empty one is a group of its own.
        weights: Of the parts.
        seed: Of the random order.

    Returns:
        Numbers of the parts, shape `(n,)`.

    Example:

    >>> labels, groups = np.array([0, 0, 1, 1]), ["x", "x", "", ""]
    >>> draw_parts(labels, groups, [1, 1], seed=[0]).tolist()
    [0, 0, 1, 0]
    """
    # Beside its class, each image counts as one of all images.
    classes = np.unique(labels, return_inverse=True)[1]
    kinds = np.hstack(
        [np.eye(classes.max() + 1)[classes], np.ones((len(classes), 1))]
    )
    kinds = kinds / kinds.sum(axis=0)
    wanted = np.outer(np.array(weights) / sum(weights), np.ones(kinds.shape[1]))
    taken: list[list[list[int]]] = [[] for _ in weights]
    for rows in sorted(shuffle_groups(groups, seed), key=len, reverse=True):
        held = kinds[rows].sum(axis=0)
        chosen = int(np.argmax(wanted @ (held > 0)))
        taken[chosen].append(rows)
        wanted[chosen] -= held
    for empty in (part for part in taken if not part):
        richest = max(taken, key=len)
        if len(richest) > 1:
            empty.append(richest.pop())
    parts = np.empty(len(labels), int)
    for number, part in enumerate(taken):
        for rows in part:
            parts[rows] = number
    return parts
