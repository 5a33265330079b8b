"""Scores of predicted probabilities.

Probabilities have the shape `(n, num_classes)` and labels `(n,)`; images with
label -1 are left out. The predicted class is the arg-max, the first of a tie.
All functions raise a `ValueError` for arrays that do not fit, labels out of
range, probabilities outside of 0 to 1, and if no image is labelled.
"""

import math
import statistics
from collections.abc import Iterable

import numpy as np
from numpy import ndarray

from medzoo.scores import counts
from medzoo.scores.counts import LABEL_SCORES, check_classes, confusion_matrix
from medzoo.scores.table import list_scores


def score(
    probabilities: ndarray, labels: ndarray, num_classes: int
) -> dict[str, float | None]:
    """Computes the scores of a record at once.

    Args:
        probabilities: Shape `(n, num_classes)`.
        labels: Integers, shape `(n,)`; -1 marks an unlabelled image.
        num_classes: Number of classes of the task.

    Returns:
        `accuracy`, `macro_f1`, `balanced_accuracy`, `auc`, `cross_entropy` and
        `mcc`; `auc` is `None` if a class does not occur.

    Example:

    >>> score(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]), 2)["auc"]
    1.0
    """
    probabilities, labels = _labelled(probabilities, labels, num_classes)
    matrix = _confusion(probabilities, labels)
    return {
        **{n: float(LABEL_SCORES[n](matrix)) for n in list_scores("labels")},
        "auc": auc(probabilities, labels),
        "cross_entropy": cross_entropy(probabilities, labels),
    }


def per_class_f1(probabilities: ndarray, labels: ndarray) -> ndarray:
    """Returns the F1 of each class, shape `(num_classes,)`.

    A class that is neither labelled nor predicted has an F1 of 0.

    Example:

    >>> per_class_f1(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]))
    array([1., 1.])
    """
    matrix = _confusion(*_labelled(probabilities, labels))
    return np.nan_to_num(counts.f1(matrix))


def macro_f1(probabilities: ndarray, labels: ndarray) -> float:
    """Returns `medzoo.scores.counts.macro_f1` of the predicted classes.

    Example:

    >>> macro_f1(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    0.3333333333333333
    """
    return float(counts.macro_f1(_confusion(*_labelled(probabilities, labels))))


def balanced_accuracy(probabilities: ndarray, labels: ndarray) -> float:
    """Returns `medzoo.scores.counts.balanced_accuracy` of predicted classes.

    Example:

    >>> balanced_accuracy(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    0.5
    """
    matrix = _confusion(*_labelled(probabilities, labels))
    return float(counts.balanced_accuracy(matrix))


def auc(probabilities: ndarray, labels: ndarray) -> float | None:
    """Returns the area under the ROC curve as medmnist computes it.

    For a class it is the chance that an image of the class gets a higher
    probability of it than another image, where a tie counts half. Two classes
    have that of class 1, more have the mean over all ([Yang et al., 2023](
    https://doi.org/10.1038/s41597-022-01721-8)); `None` if one does not occur.

    Example:

    >>> auc(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
    1.0
    """
    probabilities, labels = _labelled(probabilities, labels)
    num_classes = probabilities.shape[1]
    if len(np.unique(labels)) < num_classes:
        return None
    areas = []
    for label in range(num_classes) if num_classes != 2 else [1]:
        mine = np.sort(probabilities[labels == label, label])
        others = np.sort(probabilities[labels != label, label])
        below = np.searchsorted(others, mine, side="left")
        not_above = np.searchsorted(others, mine, side="right")
        areas.append((below.mean() + not_above.mean()) / 2 / len(others))
    return float(np.mean(areas))


def cross_entropy(probabilities: ndarray, labels: ndarray) -> float:
    """Returns the mean of `-log p` of the label's class, in nats.

    Probabilities are kept above 1.2e-7, so that one image costs 15.9 at most,
    and divided by their sum over the classes.

    Example:

    >>> cross_entropy(np.array([[0.5, 0.5]]), np.array([0])) == math.log(2)
    True
    """
    probabilities, labels = _labelled(probabilities, labels)
    kept = np.maximum(probabilities, np.finfo("float32").eps)
    of_label = kept[np.arange(len(labels)), labels] / kept.sum(axis=1)
    return float(-np.log(of_label).mean())


def harmonic_mean(values: Iterable[float | None]) -> float | None:
    """Returns the harmonic mean, such as that of macro F1 over the tasks.

    `None` if a value is missing (`None`, NaN) or there is none; 0 if one is 0.

    Example:

    >>> harmonic_mean([0.5, 1.0]), harmonic_mean([0.5, None])
    (0.6666666666666666, None)
    """
    known = [math.nan if value is None else float(value) for value in values]
    if not known or any(math.isnan(value) for value in known):
        return None
    return float(statistics.harmonic_mean(known))


def _confusion(probabilities: ndarray, labels: ndarray) -> ndarray:
    predictions = probabilities.argmax(axis=1)
    return confusion_matrix(labels, predictions, probabilities.shape[1])


def _labelled(
    probabilities: ndarray, labels: ndarray, num_classes: int | None = None
) -> tuple[ndarray, ndarray]:
    probabilities = np.asarray(probabilities, dtype="float64")
    shape = probabilities.shape
    if len(shape) != 2 or num_classes not in (None, shape[1]):
        raise ValueError(
            "`probabilities` must have shape (num_images, num_classes). "
            f"Received: probabilities.shape={shape}, num_classes={num_classes}."
        )
    labels = check_classes("labels", labels, shape)
    probabilities, labels = probabilities[labels >= 0], labels[labels >= 0]
    if not len(labels):
        raise ValueError("`labels` are all -1. Expected a labelled image.")
    low, high = probabilities.min(), probabilities.max()
    if not 0 <= low <= high <= 1 + 1e-6:
        raise ValueError(
            "`probabilities` must lie between 0 and 1. Received: values from "
            f"{low} to {high}. Apply a softmax to logits."
        )
    return probabilities, labels
