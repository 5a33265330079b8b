"""NumPy scores of finished predictions.

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


def score(
    probabilities: ndarray, labels: ndarray, num_classes: int
) -> dict[str, float | None]:
    """Computes all scores of a split at once.

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
    matrix = _confusion(probabilities, labels, num_classes)
    return {
        "accuracy": float(matrix.trace() / matrix.sum()),
        "macro_f1": float(_f1(matrix).mean()),
        "balanced_accuracy": _balanced_accuracy(matrix),
        "auc": auc(probabilities, labels),
        "cross_entropy": cross_entropy(probabilities, labels),
        "mcc": _mcc(matrix),
    }


def accuracy(probabilities: ndarray, labels: ndarray) -> float:
    """Returns the share of images whose predicted class is their label.

    Example:

    >>> accuracy(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
    0.5
    """
    matrix = _confusion(probabilities, labels)
    return float(matrix.trace() / matrix.sum())


def per_class_f1(probabilities: ndarray, labels: ndarray) -> ndarray:
    """Returns `2 TP / (2 TP + FP + FN)` of each class, shape `(num_classes,)`.

    A class that is neither labelled nor predicted has an F1 of 0.

    Example:

    >>> per_class_f1(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]))
    array([1., 1.])
    """
    return _f1(_confusion(probabilities, labels))


def macro_f1(probabilities: ndarray, labels: ndarray) -> float:
    """Returns the unweighted mean of F1 over all classes of the task.

    It is scikit-learn's `f1_score(average="macro", labels=all classes,
    zero_division=0)`; [Opitz and Burst, 2019](https://arxiv.org/abs/1911.03347)
    say why it is not the F1 of mean precision and mean recall.

    Example:

    >>> macro_f1(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    0.3333333333333333
    """
    return float(per_class_f1(probabilities, labels).mean())


def balanced_accuracy(probabilities: ndarray, labels: ndarray) -> float:
    """Returns the mean recall of the classes that occur in the labels.

    From [Brodersen et al., 2010](https://doi.org/10.1109/ICPR.2010.764).

    Example:

    >>> balanced_accuracy(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
    0.5
    """
    return _balanced_accuracy(_confusion(probabilities, labels))


def mcc(probabilities: ndarray, labels: ndarray) -> float:
    """Returns Matthews' correlation of labels and predictions, -1 to 1.

    From [Gorodkin, 2004](https://doi.org/10.1016/j.compbiolchem.2004.09.006).
    It is 0 if all labels, or all predictions, are of one class.

    Example:

    >>> mcc(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
    0.0
    """
    return _mcc(_confusion(probabilities, labels))


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


def confusion_matrix(
    labels: ndarray, predictions: ndarray, num_classes: int
) -> ndarray:
    """Counts images by their label (row) and predicted class (column).

    Example:

    >>> confusion_matrix(np.array([0, 1, 1, -1]), np.array([0, 0, 1, 1]), 2)
    array([[1, 0],
           [1, 1]])
    """
    size = (len(labels), num_classes)
    labels = _as_classes("labels", labels, size)
    predictions = _as_classes("predictions", predictions, size)
    cells = (labels * num_classes + predictions)[labels >= 0]
    counts = np.bincount(cells, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def _confusion(
    probabilities: ndarray, labels: ndarray, num_classes: int | None = None
) -> ndarray:
    probabilities, labels = _labelled(probabilities, labels, num_classes)
    predictions = probabilities.argmax(axis=1)
    return confusion_matrix(labels, predictions, probabilities.shape[1])


def _f1(matrix: ndarray) -> ndarray:
    total = matrix.sum(axis=0) + matrix.sum(axis=1)
    return 2 * matrix.diagonal() / np.maximum(total, 1)


def _balanced_accuracy(matrix: ndarray) -> float:
    support = matrix.sum(axis=1)
    occurs = support > 0
    return float((matrix.diagonal()[occurs] / support[occurs]).mean())


def _mcc(matrix: ndarray) -> float:
    total, support, predicted = matrix.sum(), matrix.sum(1), matrix.sum(0)
    covariance = matrix.trace() * total - support @ predicted
    variances = [float(total**2 - n @ n) for n in (support, predicted)]
    scale = math.sqrt(math.prod(variances))
    return float(covariance / scale) if scale else 0.0


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
    labels = _as_classes("labels", labels, shape)
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


def _as_classes(what: str, values: ndarray, size: tuple[int, int]) -> ndarray:
    """Checks labels or predictions of `size` `(num_images, num_classes)`."""
    values = np.asarray(values)
    if values.dtype.kind not in "iu" or values.shape != size[:1]:
        raise ValueError(
            f"`{what}` must be integers of shape {size[:1]}. Received: "
            f"{what}.dtype={values.dtype}, {what}.shape={values.shape}."
        )
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    lowest = -1 if what == "labels" else 0
    if not lowest <= low <= high < size[1]:
        unlabelled = ", or be -1 for unlabelled" if lowest else ""
        hint = " Was -1 written into a uint8 array?" if high == 255 else ""
        raise ValueError(
            f"`{what}` must lie between 0 and {size[1] - 1}{unlabelled}. "
            f"Received: values from {low} to {high}.{hint}"
        )
    return values.astype("int64")
