"""Audits of datasets: duplicates, leaks, label conflicts, class shifts."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2_contingency

from medzoo.data.audit.leaks import (
    count_partners,
    find_split_groups,
    number_splits,
)
from medzoo.data.audit.near_duplicates import (
    NearDuplicates,
    Vectors,
    find_near_duplicates,
)
from medzoo.data.dataset import Dataset
from medzoo.tasks import SPLITS


class Pair(NamedTuple):
    """Two images that show the same.

    Args:
        kind: `exact`, `near`, or `turned`: near if it is turned or mirrored.
        image: Name, or number in its split.
        correlation: Of what they have beside the mean image.
        conflict: Whether their labels differ.
        across: Whether they are in different splits.
        place: Number of the first in its split.
        other_place: Likewise.
    """

    kind: str
    split: str
    image: str
    label: str
    other_split: str
    other_image: str
    other_label: str
    correlation: float
    conflict: bool
    across: bool
    place: int
    other_place: int


@dataclass(frozen=True)
class ClassShift:
    """Whether two splits have other shares of classes.

    Args:
        p: Of Pearson's chi-square test that they are drawn alike.
        cramers_v: Strength of the difference, 0 to 1.
    """

    first: str
    second: str
    p: float
    cramers_v: float


@dataclass(frozen=True)
class Audit:
    """The findings of an audit.

    Args:
        task: Name of the task.
        fingerprint: Of the data.
        num_images: By split.
        exact: Pairs of equal images; each with the first that it equals.
        near: Pairs of nearly equal images, one a pair of groups of equal ones.
        turned: Those of `near` that are turned or mirrored.
        exact_across: Those of `exact` in different splits.
        near_across: Those of `near` in different splits.
        conflicts: Pairs of either kind with different labels.
        val_in_train: Images of val that train has as well.
        test_in_train: Images of test that train has as well.
        test_in_val: Images of test that val has as well.
        test_leaks: Places of the images of test that train has as well, or
            another image of their group.
        train_leaks: Images of train that val or test have as well.
        split_groups: Names of groups in more than one split.
        shifts: Of each two splits that have labels.
    """

    task: str
    fingerprint: str
    num_images: dict[str, int]
    exact: int
    near: int
    turned: int
    exact_across: int
    near_across: int
    conflicts: int
    val_in_train: int
    test_in_train: int
    test_in_val: int
    test_leaks: list[int]
    train_leaks: int
    split_groups: list[str]
    shifts: list[ClassShift]

    def summary(self) -> dict[str, object]:
        """Returns all of it as plain values for JSON."""
        return asdict(self) | {"line": self.line()}

    def line(self) -> str:
        """Words what tables have to say; empty if nothing leaks.

        An image of val or test that train has as well tests memory.
        """
        num_test, num_val = self.num_images["test"], self.num_images["val"]
        parts = []
        if self.test_in_train:
            parts.append(
                f"{self.test_in_train} of {num_test} test images are in train "
                "as well (equal, or near-duplicates)"
            )
        if self.val_in_train:
            parts.append(f"{self.val_in_train} of {num_val} of val")
        if self.split_groups:
            parts.append(f"{len(self.split_groups)} groups are in two splits")
        if not parts:
            return ""
        return f"Leaks in {self.task}: {'; '.join(parts)}."


def audit(
    dataset: Dataset,
    *,
    names: Sequence[str] = (),
    groups: Sequence[str] = (),
) -> tuple[Audit, list[Pair]]:
    """Audits a data set.

    Args:
        dataset: The data.
        names: Of the images of train, val and test in turn; their numbers in
            their splits if empty.
        groups: Of the same images; may be empty.

    Returns:
        The findings, and the pairs that they count, the worst first.
    """
    splits = number_splits(dataset)
    vectors = Vectors(list(dataset.splits.values()))
    near_duplicates = find_near_duplicates(vectors)
    partners = count_partners(near_duplicates, splits)
    pairs = _list_pairs(dataset, near_duplicates, splits, names)
    exact = [pair for pair in pairs if pair.kind == "exact"]
    near = [pair for pair in pairs if pair.kind != "exact"]
    findings = Audit(
        task=dataset.task,
        fingerprint=dataset.fingerprint,
        num_images={name: len(s) for name, s in dataset.splits.items()},
        exact=len(exact),
        near=len(near),
        turned=sum(pair.kind == "turned" for pair in near),
        exact_across=sum(pair.across for pair in exact),
        near_across=sum(pair.across for pair in near),
        conflicts=sum(pair.conflict for pair in pairs),
        val_in_train=int(partners[splits == 1, 0].sum()),
        test_in_train=int(partners[splits == 2, 0].sum()),
        test_in_val=int(partners[splits == 2, 1].sum()),
        test_leaks=_find_test_leaks(partners, splits, groups),
        train_leaks=int(partners[splits == 0, 1:].any(axis=1).sum()),
        split_groups=sorted(find_split_groups(groups, splits)),
        shifts=_find_shifts(dataset),
    )
    return findings, pairs


def _find_test_leaks(
    partners: np.ndarray, splits: np.ndarray, groups: Sequence[str]
) -> list[int]:
    """Lists the images of test that train has as well, by their places."""
    is_leak = partners[:, 0].copy()
    if groups:
        of_train = {g for g, s in zip(groups, splits, strict=True) if s == 0}
        is_leak |= [bool(group) and group in of_train for group in groups]
    return np.flatnonzero(is_leak[splits == 2]).tolist()


def _list_pairs(
    dataset: Dataset,
    near_duplicates: NearDuplicates,
    splits: np.ndarray,
    names: Sequence[str],
) -> list[Pair]:
    """Lists all pairs, those across splits and of other labels first."""
    starts = np.cumsum([0, len(dataset.train), len(dataset.val)])
    labels = np.concatenate([s.labels for s in dataset.splits.values()])

    def place(row: int) -> int:
        return int(row - starts[splits[row]])

    def describe(row: int) -> tuple[str, str, str]:
        split, label = int(splits[row]), int(labels[row])
        name = names[row] if names else str(place(row))
        return SPLITS[split], name, dataset.classes[label] if label >= 0 else ""

    group, (lefts, rights) = near_duplicates.group, near_duplicates.pairs.T
    copies = np.flatnonzero(group != np.arange(len(splits)))
    rows = [("exact", int(group[row]), int(row), 1.0) for row in copies]
    correlations = near_duplicates.correlations.tolist()
    kinds = np.where(near_duplicates.turns > 0, "turned", "near").tolist()
    rows += zip(
        kinds, lefts.tolist(), rights.tolist(), correlations, strict=True
    )
    pairs = [
        Pair(
            kind,
            *describe(left),
            *describe(right),
            round(value, 5),
            bool(labels[left] != labels[right]),
            bool(splits[left] != splits[right]),
            place(left),
            place(right),
        )
        for kind, left, right, value in rows
    ]
    return sorted(
        pairs, key=lambda p: (not p.across, not p.conflict, -p.correlation)
    )


def _find_shifts(dataset: Dataset) -> list[ClassShift]:
    counts = {
        name: np.bincount(
            split.labels[split.labels >= 0], minlength=dataset.num_classes
        )
        for name, split in dataset.splits.items()
    }
    shifts = []
    for first, second in itertools.combinations(SPLITS, 2):
        table = np.stack([counts[first], counts[second]])
        if not table.any(axis=1).all():
            continue
        table = table[:, table.sum(axis=0) > 0]
        test = chi2_contingency(table)
        # Of two rows, the largest chi-square is the number of images.
        strength = float(np.sqrt(test.statistic / table.sum()))
        shifts.append(ClassShift(first, second, float(test.pvalue), strength))
    return shifts
