"""Probabilities as evidence has them."""

import numpy as np


def round_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Rounds to `float16`, and keeps which class is the most probable.

    Where rounding makes a class equal to the most probable one, it is set to
    the next smaller number, so that scores of labels stay as they are.

    Args:
        probabilities: Shape `(n, num_classes)`.

    Example:

    >>> found = round_probabilities(np.array([[0.49999, 0.50001]]))
    >>> int(found.argmax()), found.dtype.name
    (1, 'float16')
    """
    found = probabilities.astype("float16")
    top = probabilities.argmax(axis=-1)[..., None]
    highest = np.take_along_axis(found, top, axis=-1)
    is_before = np.arange(found.shape[-1]) < top
    smaller = np.nextafter(found, np.float16(0))
    return np.where(is_before & (found >= highest), smaller, found)
