"""Occlusion sensitivity: log odds that a model loses without part of an image.

Zeiler and Fergus 2014, arXiv 1311.2901. Other than Grad-CAM, it needs no
gradients, so that it is the same code for every model and backend, and has a
unit. Log odds also change where a probability is near 1.
"""

from collections.abc import Callable

import numpy as np

# Parts along each side; they overlap by a half.
_PARTS = 7


def occlude(
    predict: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    classes: np.ndarray,
) -> np.ndarray:
    """Computes how much hiding each pixel's surroundings costs a class.

    A square of a seventh of the side, in the mean colour of the image, is moved
    over it in steps of half its side; a pixel has the mean loss of log odds,
    `log p - log (1 - p)`, over the squares that hide it.

    Args:
        predict: From `uint8` images to probabilities, `(n, num_classes)`.
        images: `uint8`, shape `(n, height, width, channels)`.
        classes: The class to explain for each image, shape `(n,)`.

    Returns:
        `float32`, -28 to 28, shape `(n, height, width)`: positive where the
        image is evidence for the class, negative where it is against it.

    Example:

    >>> def predict(images):  # By the first pixel alone.
    ...     bright = images[:, 0, 0, :1] / 255
    ...     return np.concatenate([1 - bright, bright], axis=1)
    >>> image = np.zeros((1, 14, 14, 1), "uint8")
    >>> image[0, 0, 0] = 255
    >>> found = occlude(predict, image, np.array([1]))[0]
    >>> bool(found[0, 0] > 0.9), float(found[7, 7])
    (True, 0.0)
    """
    maps = [
        _occlude_one(predict, image, int(label))
        for image, label in zip(images, classes, strict=True)
    ]
    return np.stack(maps)


def pick_examples(
    probabilities: np.ndarray, labels: np.ndarray, *, each: int = 1
) -> list[int]:
    """Picks right and wrong images of every class, the surest first.

    Args:
        probabilities: Shape `(n, num_classes)`.
        labels: Shape `(n,)`; images with -1 are not picked.
        each: How many right ones, and how many wrong ones, of each class.

    Returns:
        Positions, by class; fewer where there are not so many.

    Example:

    >>> p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> pick_examples(p, np.array([0, 0, 0]))
    [0, 2]
    """
    predicted, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    order = np.argsort(-sure, kind="stable")
    found: list[int] = []
    for label in range(probabilities.shape[1]):
        mine = order[labels[order] == label]
        right = predicted[mine] == label
        found += [*mine[right][:each], *mine[~right][:each]]
    return [int(index) for index in found]


def pick_surest(
    probabilities: np.ndarray, labels: np.ndarray, *, num_wrong: int = 2
) -> list[int]:
    """Picks the surest image that is right, and the surest that are wrong.

    Args:
        probabilities: Shape `(n, num_classes)`.
        labels: Shape `(n,)`; images with -1 are not picked.
        num_wrong: How many wrong ones.

    Returns:
        Positions; fewer where there are not so many.

    Example:

    >>> p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    >>> pick_surest(p, np.array([0, 1, 0, -1]))
    [0, 2, 1]
    """
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    order = order[labels[order] >= 0]
    right = probabilities[order].argmax(axis=1) == labels[order]
    return [*order[right][:1].tolist(), *order[~right][:num_wrong].tolist()]


def _occlude_one(
    predict: Callable[[np.ndarray], np.ndarray], image: np.ndarray, label: int
) -> np.ndarray:
    height, width = image.shape[:2]
    side = max(2, min(height, width) // _PARTS)
    corners = [
        (top, left)
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]
    hidden = np.repeat(image[None], len(corners) + 1, axis=0)
    colour = image.mean(axis=(0, 1)).round().astype("uint8")
    for index, (top, left) in enumerate(corners, start=1):
        hidden[index, top : top + side, left : left + side] = colour
    chance = np.clip(predict(hidden)[:, label], 1e-6, 1 - 1e-6, dtype="float64")
    found = np.log(chance) - np.log(1 - chance)
    losses, counts = np.zeros((2, height, width))
    for loss, (top, left) in zip(found[0] - found[1:], corners, strict=True):
        losses[top : top + side, left : left + side] += loss
        counts[top : top + side, left : left + side] += 1
    return (losses / counts).astype("float32")


def _starts(length: int, side: int) -> list[int]:
    """Lists the starts of squares that reach both ends."""
    inner = range(0, length - side, max(1, side // 2))
    return [*inner, length - side]
