"""Groups of test images, such as those of one patient, which are drawn whole.

Images of one patient are alike, so that they tell less than as many images of
several: intervals that draw them one by one are too short.
"""

import numpy as np


def number_groups(groups: np.ndarray | None, num_images: int) -> np.ndarray:
    """Gives each image that is in no group a number of its own.

    Args:
        groups: Number of the group of each image, -1 for none, shape `(n,)`.
            `None` if no groups are known.
        num_images: n.

    Example:

    >>> number_groups(np.array([0, -1, 0, -1]), 4).tolist()
    [0, 1, 0, 2]
    """
    if groups is None:
        return np.arange(num_images)
    numbers = groups.astype("int64")
    alone = numbers < 0
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(alone.sum())
    return numbers


def find_units(
    labels: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers groups from 0, and finds the class that most images of each have.

    Args:
        labels: Shape `(n,)`.
        groups: Number of the group of each image, -1 for none, shape `(n,)`.

    Returns:
        The number of the group of each image, and the class of each group; an
        image in no group is one of its own.

    Example:

    >>> units, classes = find_units(np.array([0, 1, 1]), np.array([7, 7, 3]))
    >>> units.tolist(), classes.tolist()
    ([1, 1, 0], [1, 0])
    """
    numbers = number_groups(groups, len(labels))
    units = np.unique(numbers, return_inverse=True)[1]
    names, classes = np.unique(labels, return_inverse=True)
    held = np.zeros((units.max(initial=-1) + 1, len(names)), "int64")
    np.add.at(held, (units, classes), 1)
    return units, names[held.argmax(axis=1)]


def sum_by_unit(units: np.ndarray, counts: np.ndarray, num: int) -> np.ndarray:
    """Adds the counts of the images of each unit, each as one row.

    Args:
        units: Number of the unit of each image, shape `(n,)`.
        counts: Of each image, shape `(n, ...)`.
        num: Number of units.

    Returns:
        Shape `(num, size of the counts of an image)`.
    """
    flat = counts.reshape(len(counts), -1)
    sums = np.zeros((num, flat.shape[1]), flat.dtype)
    np.add.at(sums, units, flat)
    return sums
