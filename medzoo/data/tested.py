"""The images that a run tests, with what is known of them beside labels."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from medzoo.data.custom.about import About, describe_images
from medzoo.data.custom.address import is_custom
from medzoo.data.custom.options import make_canonical
from medzoo.data.dataset import Dataset
from medzoo.data.folds import find_test_rows
from medzoo.data.kept import keep
from medzoo.data.sources import load


class Tested(NamedTuple):
    """Images that a run tests, in the order of its predictions.

    Args:
        dataset: That they are of, without folds.
        rows: Of each, among train, val and test in turn.
        about: Names, groups and attributes of all images.
    """

    dataset: Dataset
    rows: np.ndarray
    about: About

    @property
    def attributes(self) -> dict[str, list[str]]:
        """The cells of each column."""
        columns = self.about.attributes.items()
        return {name: [cells[r] for r in self.rows] for name, cells in columns}

    @property
    def groups(self) -> np.ndarray | None:
        """Numbers of the groups, -1 for an image in none; `None` without any.

        They count from 0 in the order of the images, and tell no name.
        """
        if not any(self.about.groups):
            return None
        names = [self.about.groups[row] for row in self.rows]
        distinct = dict.fromkeys(filter(None, names))
        known = {name: at for at, name in enumerate(distinct)}
        return np.array([known.get(name, -1) for name in names], "int32")

    def name(self, place: int) -> str:
        """Returns the name of the file of an image; empty if it has none."""
        names = self.about.names
        return names[self.rows[place]] if names else ""

    def images(self, places: Sequence[int]) -> list[np.ndarray]:
        """Returns the pixels of some of the images."""
        splits = list(self.dataset.splits.values())
        starts = np.cumsum([0, *map(len, splits)])
        found = []
        for row in self.rows[list(places)]:
            at = int(np.searchsorted(starts, row, side="right")) - 1
            found.append(np.asarray(splits[at].images[row - starts[at]]))
        return found


def find_tested(
    task: str,
    data: str,
    size: int,
    options: Mapping[str, Any],
    *,
    seed: int,
    resplit: bool = False,
) -> Tested:
    """Finds the images that a run tests; nothing is downloaded.

    Args:
        task: Name of the task.
        data: Data source.
        size: Height and width of the images.
        options: Data options, with `attributes` or without.
        seed: Of the run.
        resplit: Whether the run splits train and val anew.

    Raises:
        FileNotFoundError: If the data are not there.
        ValueError: If they cannot be used.
    """
    given = make_canonical(data, options)
    # Leaks are dropped from train alone.
    given = {k: v for k, v in given.items() if k != "drop_leaks"}
    files = {k: v for k, v in given.items() if k not in ("folds", "attributes")}
    dataset = load(task, data, size, options=tuple(sorted(files.items())))
    about = About([], [], {})
    if is_custom(data):
        named = {k: v for k, v in given.items() if k != "folds"}
        about = describe_images(data, size, named)
    split = {k: v for k, v in given.items() if k != "attributes"}
    rows = find_test_rows(
        dataset, data, size, split, seed=seed, resplit=resplit
    )
    return Tested(dataset, rows, about)


def find_groups(
    task: str,
    data: str,
    size: int,
    options: Mapping[str, Any],
    *,
    seed: int,
    resplit: bool = False,
) -> np.ndarray | None:
    """Finds the groups of the images that a run tests; see `Tested.groups`.

    Args:
        task: Name of the task.
        data: Data source.
        size: Height and width of the images.
        options: Data options.
        seed: Of the run.
        resplit: Whether the run splits train and val anew.
    """
    if not is_custom(data):
        return None
    held_out = seed if resplit or "folds" in options else 0
    given = {k: v for k, v in options.items() if k != "attributes"}
    return _find_groups(
        task, data, size, tuple(sorted(given.items())), held_out, resplit
    )


# A study goes through the folds of one data set, or through a few data sets.
@keep(12)
def _find_groups(
    task: str, data: str, size: int, options: tuple, seed: int, resplit: bool
) -> np.ndarray | None:
    return find_tested(
        task, data, size, dict(options), seed=seed, resplit=resplit
    ).groups
