"""Leaks: images of train that val or test have as well."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medzoo.data.audit import LEAKS_VERSION
from medzoo.data.audit.near_duplicates import (
    NearDuplicates,
    Vectors,
    find_near_duplicates,
)
from medzoo.data.dataset import Dataset
from medzoo.files import DAMAGED, replacing


class TakenRows:
    """Some rows of an array, read on access.

    Args:
        array: What to take from, such as a memory map.
        rows: Which rows, in which order.
    """

    def __init__(self, array: np.ndarray, rows: np.ndarray) -> None:
        self._array, self._rows = array, rows
        self.dtype = array.dtype
        self.shape = (len(rows), *array.shape[1:])
        self.ndim = array.ndim

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: object) -> np.ndarray:
        if isinstance(key, tuple):
            return self._array[(self._rows[key[0]], *key[1:])]
        return self._array[self._rows[key]]  # type: ignore[call-overload]

    def __array__(
        self, dtype: object = None, copy: bool | None = None
    ) -> np.ndarray:
        return np.asarray(self._array[self._rows], dtype=dtype)  # type: ignore[call-overload]


def number_splits(dataset: Dataset) -> np.ndarray:
    """Returns 0, 1 or 2 for each image of train, val and test in turn."""
    return np.repeat(np.arange(3), [len(s) for s in dataset.splits.values()])


def count_partners(
    near_duplicates: NearDuplicates, splits: np.ndarray
) -> np.ndarray:
    """Counts in which splits an image has another that shows the same.

    Args:
        near_duplicates: What `find_near_duplicates` returned.
        splits: 0, 1 or 2 for each image.

    Returns:
        Booleans, shape `(n, 3)`: whether there is another, equal or nearly so,
        in train, val and test.
    """
    held = np.zeros((len(splits), 3), np.int64)
    np.add.at(held, (near_duplicates.group, splits), 1)
    near = np.zeros_like(held)
    for left, right in (near_duplicates.pairs.T, near_duplicates.pairs.T[::-1]):
        np.add.at(near, left, held[right])
    partners = (held + near)[near_duplicates.group]
    partners[np.arange(len(splits)), splits] -= 1  # Not itself.
    return partners > 0


def find_split_groups(groups: Sequence[str], splits: np.ndarray) -> set[str]:
    """Names the groups that are in more than one split.

    Example:

    >>> find_split_groups(["a", "b", "a", ""], np.array([0, 0, 2, 2]))
    {'a'}
    """
    held: dict[str, set[int]] = {}
    for group, split in zip(groups, splits.tolist(), strict=bool(groups)):
        held.setdefault(group, set()).add(split)
    return {name for name, parts in held.items() if name and len(parts) > 1}


def find_leaks(dataset: Dataset, groups: Sequence[str]) -> np.ndarray:
    """Finds the rows of train that val or test have as well.

    Args:
        dataset: The data.
        groups: Of the images of train, val and test in turn; may be empty.
    """
    splits = number_splits(dataset)
    vectors = Vectors(list(dataset.splits.values()))
    partners = count_partners(find_near_duplicates(vectors), splits)
    leaks = np.any(partners[:, 1:], axis=1)
    if groups:
        split_groups = find_split_groups(groups, splits)
        leaks |= np.array([group in split_groups for group in groups])
    return np.flatnonzero(leaks[: len(dataset.train)])


def drop_leaks(
    dataset: Dataset, groups: Sequence[str] = (), kept_in: Path | None = None
) -> Dataset:
    """Leaves out the rows of `find_leaks`, and says so in the notes.

    Args:
        dataset: The data.
        groups: Group of each image, in the order of train, val and test.
        kept_in: File that keeps the rows for the next process.

    Raises:
        ValueError: If train, or a class of it, has no image without them.
    """
    leaks = None
    if kept_in is not None:
        # Rows of another version are of other rules.
        kept_in = kept_in.with_suffix(f".v{LEAKS_VERSION}{kept_in.suffix}")
        leaks = _read(kept_in, len(dataset.train))
    if leaks is None:
        leaks = find_leaks(dataset, groups)
        if kept_in is not None:
            _keep(leaks, kept_in)
    train = dataset.train
    rows = np.setdiff1d(np.arange(len(train)), leaks)
    lost = np.setdiff1d(train.labels, [*train.labels[rows], -1])
    if len(lost) or not len(rows):
        names = [f"`{dataset.classes[label]}`" for label in lost.tolist()]
        raise ValueError(_refuse(dataset, leaks, names, groups))
    note = (
        f"{len(leaks)} of {len(train)} images of train were dropped, as val or "
        "test show the same (drop_leaks)."
    )
    return dataclasses.replace(
        dataset,
        train=train.take(rows, TakenRows),
        fingerprint=f"{dataset.fingerprint}:drop_leaks",
        notes=(*dataset.notes, note),
    )


def _refuse(
    dataset: Dataset,
    leaks: np.ndarray,
    lost: Sequence[str],
    groups: Sequence[str],
) -> str:
    """Words that too much would be dropped, by what, and what to do."""
    torn = find_split_groups(groups, number_splits(dataset)) if groups else ()
    by_group = sum(groups[row] in torn for row in leaks.tolist()) if torn else 0
    reasons = {
        f"{by_group} as val or test have others of their group": by_group,
        f"{len(leaks) - by_group} as val or test show the same": (
            len(leaks) - by_group
        ),
    }
    shown = " and ".join(reason for reason, count in reasons.items() if count)
    return (
        "`drop_leaks` leaves no image of "
        f"{', '.join(lost) or 'any class'} in train. Expected some of each "
        f"class. Received: {len(leaks)} of {len(dataset.train)} images to be "
        f"dropped, {shown}. Leave out `drop_leaks`, or split the images so "
        "that those that show the same, or are of one group, are in one split."
    )


def _read(path: Path, num_images: int) -> np.ndarray | None:
    """Reads rows that were kept; `None` if they are none of such a split."""
    with contextlib.suppress(OSError, *DAMAGED):
        leaks = np.load(path, allow_pickle=False)
        is_list = leaks.ndim == 1 and leaks.dtype.kind in "iu"
        if is_list and np.isin(leaks, np.arange(num_images)).all():
            return leaks
    return None


def _keep(leaks: np.ndarray, path: Path) -> None:
    with (
        contextlib.suppress(OSError),
        replacing(path) as part,
        open(part, "xb") as file,
    ):
        np.save(file, leaks)
