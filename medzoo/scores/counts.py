"""Confusion counts, and the scores that follow from them.

A confusion matrix has a row for each label and a column for each prediction.
All scores take counts of shape `(..., k, k)` and work over the leading axes, so
that a split, each of its images and all draws of a bootstrap share one formula.
A score of a class that is 0 / 0, in neither the labels nor the predictions, is
NaN, and so is a mean without any known value.

Mask class 0 is the background, the others are the foreground. *Pooled* scores
come from the counts of all images together, so that a large object counts more
than a small one; scores *per image* are averaged over the images that have one.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy import ndarray


def confusion_matrix(
    labels: ndarray, predictions: ndarray, num_classes: int
) -> ndarray:
    """Counts images by their label (row) and predicted class (column).

    Args:
        labels: Integers, shape `(n,)`; -1 marks an unlabelled image.
        predictions: Integers from 0, of the same shape.

    Returns:
        `int64`, shape `(num_classes, num_classes)`.

    Raises:
        ValueError: For arrays that do not fit and labels out of range.

    Example:

    >>> confusion_matrix(np.array([0, 1, 1, -1]), np.array([0, 0, 1, 1]), 2)
    array([[1, 0],
           [1, 1]])
    """
    size = (len(labels), num_classes)
    labels = check_classes("labels", labels, size)
    predictions = check_classes("predictions", predictions, size)
    cells = (labels * num_classes + predictions)[labels >= 0]
    counts = np.bincount(cells, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def count_masks(
    masks: ndarray, predictions: ndarray, num_mask_classes: int
) -> ndarray:
    """Counts the pixels of each image, as `confusion_matrix` does images.

    Args:
        masks: Integers, shape `(n, height, width)`; -1 marks an unlabelled
            pixel.
        predictions: Integers from 0, of the same shape.
        num_mask_classes: Number of mask classes.

    Returns:
        `int64`, shape `(n, num_mask_classes, num_mask_classes)`.

    Raises:
        ValueError: As `confusion_matrix`.

    Example:

    >>> count_masks(np.array([[[0, 1, 1, -1]]]), np.array([[[0, 0, 1, 1]]]), 2)
    array([[[1, 0],
            [1, 1]]])
    """
    masks, predictions = np.asarray(masks), np.asarray(predictions)
    if masks.ndim != 3 or masks.shape != predictions.shape:
        raise ValueError(
            "`masks` and `predictions` must have one shape (num_images, "
            f"height, width). Received: masks.shape={masks.shape}, "
            f"predictions.shape={predictions.shape}."
        )
    counts = np.empty((len(masks), num_mask_classes, num_mask_classes), "int64")
    for index, (mask, found) in enumerate(zip(masks, predictions, strict=True)):
        counts[index] = confusion_matrix(
            mask.ravel(), found.ravel(), num_mask_classes
        )
    return counts


def check_classes(what: str, values: ndarray, size: tuple[int, int]) -> ndarray:
    """Checks `labels` or `predictions` of `size` `(num_images, num_classes)`.

    Returns:
        `int64`.

    Raises:
        ValueError: For another shape or type, and values out of range.
    """
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


def f1(counts: ndarray) -> ndarray:
    """Returns `2 TP / (2 TP + FP + FN)` of each class; of pixels it is Dice.

    Example:

    >>> f1(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]]))
    array([0.8       , 0.66666667,        nan])
    """
    hits, labels, predictions = _margins(counts)
    return _divide(2 * hits, labels + predictions)


def iou(counts: ndarray) -> ndarray:
    """Returns `TP / (TP + FP + FN)` of each class."""
    hits, labels, predictions = _margins(counts)
    return _divide(hits, labels + predictions - hits)


def precision(counts: ndarray) -> ndarray:
    """Returns `TP / (TP + FP)`; 0 of a class that is never predicted."""
    hits, labels, predictions = _margins(counts)
    values = hits / np.maximum(predictions, 1)
    return np.where(labels + predictions > 0, values, np.nan)


def recall(counts: ndarray) -> ndarray:
    """Returns `TP / (TP + FN)`; 0 of a class that is predicted alone."""
    return precision(np.swapaxes(counts, -1, -2))


def accuracy(counts: ndarray) -> ndarray:
    """Returns the share of what is predicted right."""
    hits, labels, _ = _margins(counts)
    return _divide(hits.sum(axis=-1), labels.sum(axis=-1))


def macro_f1(counts: ndarray) -> ndarray:
    """Returns the unweighted mean of F1 over all classes of the task.

    It is scikit-learn's `f1_score(average="macro", labels=all classes,
    zero_division=0)`; [Opitz and Burst, 2019](https://arxiv.org/abs/1911.03347)
    say why it is not the F1 of mean precision and mean recall.

    Example:

    >>> float(macro_f1(np.array([[1, 1], [0, 0]])))
    0.3333333333333333
    """
    return np.nan_to_num(f1(counts)).mean(axis=-1)


def balanced_accuracy(counts: ndarray) -> ndarray:
    """Returns the mean recall of the classes that occur in the labels.

    From [Brodersen et al., 2010](https://doi.org/10.1109/ICPR.2010.764).
    """
    hits, labels, _ = _margins(counts)
    return mean_of_known(_divide(hits, labels))


def mcc(counts: ndarray) -> ndarray:
    """Returns Matthews' correlation of labels and predictions, -1 to 1.

    With totals `l` of the rows, `p` of the columns and `n` of all it is
    `(n TP - l p) / sqrt((n^2 - l l) (n^2 - p p))`, from [Gorodkin, 2004](
    https://doi.org/10.1016/j.compbiolchem.2004.09.006); 0 if all labels, or all
    predictions, are of one class.

    Example:

    >>> float(mcc(np.array([[1, 0], [1, 0]])))
    0.0
    """
    # Squares of counts of many pixels are too large for integers.
    hits, labels, predictions = _margins(np.asarray(counts, "float64"))
    total = labels.sum(axis=-1)
    covariance = hits.sum(axis=-1) * total - (labels * predictions).sum(axis=-1)
    scale = np.sqrt(
        (total**2 - (labels**2).sum(axis=-1))
        * (total**2 - (predictions**2).sum(axis=-1))
    )
    values = np.where(scale > 0, covariance / np.where(scale, scale, 1), 0.0)
    return np.where(total > 0, values, np.nan)


def one_vs_rest(counts: ndarray) -> dict[str, ndarray]:
    """Takes each class for a finding and all others for none.

    Returns:
        `sensitivity` `TP / (TP + FN)`, `specificity` `TN / (TN + FP)`, `ppv`
        `TP / (TP + FP)` and `npv` `TN / (TN + FN)`, each of shape
        `(..., num_classes)`; NaN for 0 / 0.

    Example:

    >>> found = one_vs_rest(np.array([[8, 2], [1, 9]]))
    >>> found["sensitivity"].tolist(), found["specificity"].tolist()
    ([0.8, 0.9], [0.9, 0.8])
    """
    hits, labels, predictions = _margins(counts)
    total = labels.sum(axis=-1, keepdims=True)
    return make_rates(hits, labels, predictions, total)


def make_rates(
    hits: ndarray, labels: ndarray, predictions: ndarray, total: ndarray
) -> dict[str, ndarray]:
    """Makes the rates of `one_vs_rest` from counts of the same shape.

    Args:
        hits: Images of a class that were found.
        labels: Images of the class.
        predictions: Images that were taken for it.
        total: All images.
    """
    rejected = total - labels - predictions + hits
    return {
        "sensitivity": _divide(hits, labels),
        "specificity": _divide(rejected, total - labels),
        "ppv": _divide(hits, predictions),
        "npv": _divide(rejected, total - predictions),
    }


def macro_sensitivity(counts: ndarray) -> ndarray:
    """Returns the mean over the classes that occur: balanced accuracy."""
    return mean_of_known(one_vs_rest(counts)["sensitivity"])


def macro_specificity(counts: ndarray) -> ndarray:
    """Returns the mean over classes of `TN / (TN + FP)`."""
    return mean_of_known(one_vs_rest(counts)["specificity"])


def macro_ppv(counts: ndarray) -> ndarray:
    """Returns the mean precision; 0 of a class that is never predicted."""
    return mean_of_known(precision(counts))


def macro_npv(counts: ndarray) -> ndarray:
    """Returns the mean over classes of `TN / (TN + FN)`; 0 for 0 / 0."""
    return np.nan_to_num(one_vs_rest(counts)["npv"]).mean(axis=-1)


def cohen_kappa(counts: ndarray) -> ndarray:
    """Returns the agreement of labels and predictions beyond chance, -1 to 1.

    From [Cohen, 1960](https://doi.org/10.1177/001316446002000104); NaN if all
    labels and predictions are of one class.

    Example:

    >>> float(cohen_kappa(np.array([[20, 5], [10, 15]])))
    0.4
    """
    return _kappa(counts, 1 - np.eye(np.shape(counts)[-1]))


def quadratic_kappa(counts: ndarray) -> ndarray:
    """Returns Cohen's kappa of ordered classes, errors squared by distance.

    From [Cohen, 1968](https://doi.org/10.1037/h0026256). Of two classes it is
    Cohen's kappa.
    """
    places = np.arange(np.shape(counts)[-1])
    return _kappa(counts, (places[:, None] - places[None]) ** 2.0)


def _kappa(counts: ndarray, costs: ndarray) -> ndarray:
    """Returns `1 - cost / cost by chance`, of a cost for each cell."""
    _, labels, predictions = _margins(np.asarray(counts, "float64"))
    total = labels.sum(axis=-1)
    cost = (counts * costs).sum(axis=(-2, -1)) * total
    by_chance = ((labels @ costs) * predictions).sum(axis=-1)
    share = cost / np.where(by_chance > 0, by_chance, 1)
    return np.where(by_chance > 0, 1 - share, np.nan)


def mean_of_known(values: ndarray) -> ndarray:
    """Averages the last axis over what is not NaN; NaN if there is nothing."""
    known = ~np.isnan(values)
    return _divide(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))


def dice_of_images(counts: ndarray) -> ndarray:
    """Returns the mean Dice of the foreground, NaN where there is none.

    Example:

    >>> dice_of_images(np.array([[[6, 1], [0, 1]], [[8, 0], [0, 0]]]))
    array([0.66666667,        nan])
    """
    return mean_of_known(f1(counts)[..., 1:])


def foreground_dice(counts: ndarray) -> ndarray:
    """Returns the Dice of the foreground as one mask class."""
    rows = np.stack(
        [counts[..., 0, :], counts[..., 1:, :].sum(axis=-2)], axis=-2
    )
    both = [rows[..., 0], rows[..., 1:].sum(axis=-1)]
    return f1(np.stack(both, axis=-1))[..., 1]


# What follows from the counts of labels, and of pixels pooled over images.
LABEL_SCORES: Mapping[str, Callable[[ndarray], ndarray]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "balanced_accuracy": balanced_accuracy,
    "mcc": mcc,
    "macro_sensitivity": macro_sensitivity,
    "macro_specificity": macro_specificity,
    "macro_ppv": macro_ppv,
    "macro_npv": macro_npv,
    "kappa": cohen_kappa,
    "quadratic_kappa": quadratic_kappa,
}
MASK_SCORES: Mapping[str, Callable[[ndarray], ndarray]] = {
    "dice": dice_of_images,
    "foreground_dice": foreground_dice,
    "mean_iou": lambda counts: mean_of_known(iou(counts)),
    "mask_precision": lambda counts: mean_of_known(precision(counts)),
    "mask_recall": lambda counts: mean_of_known(recall(counts)),
    "mask_f1": lambda counts: mean_of_known(f1(counts)),
    "mask_mcc": mcc,
    "pixel_accuracy": accuracy,
}


def score_masks(counts: ndarray) -> dict[str, float | None]:
    """Computes all scores of the masks of a split.

    Args:
        counts: As of `count_masks`, shape `(n, num_mask_classes,
            num_mask_classes)`.

    Returns:
        Those of `MASK_SCORES`, pooled: `dice`, the mean over the foreground,
        and `foreground_dice`; over all mask classes `mean_iou`, and
        `mask_precision`, `mask_recall` and `mask_f1`, the macro means as
        scikit-learn takes them with `zero_division=0`; `mask_mcc`;
        `pixel_accuracy`. Per image: `dice_per_image` and `mean_iou_per_image`.
        `None` where nothing is known.

    Example:

    >>> found = score_masks(np.array([[[6, 1], [0, 1]], [[8, 0], [0, 0]]]))
    >>> round(found["dice"], 4), round(found["dice_per_image"], 4)
    (0.6667, 0.6667)
    >>> found["pixel_accuracy"]
    0.9375

    Reference:

    - [Maier-Hein et al., 2024](https://doi.org/10.1038/s41592-023-02151-z), on
      what pooling, empty masks and small objects do to these scores.
    """
    pooled = counts.sum(axis=0)
    return {
        **{name: _known(call(pooled)) for name, call in MASK_SCORES.items()},
        "dice_per_image": _mean_over_images(dice_of_images(counts)),
        "mean_iou_per_image": _mean_over_images(mean_of_known(iou(counts))),
    }


def per_class_dice(counts: ndarray) -> list[float | None]:
    """Returns the pooled Dice of each mask class, the background first.

    Example:

    >>> per_class_dice(np.array([[[2, 0, 0], [1, 1, 0], [0, 0, 0]]]))
    [0.8, 0.6666666666666666, None]
    """
    return [_known(value) for value in f1(counts.sum(axis=0))]


def _margins(counts: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Returns what is right, labelled and predicted, by class."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return hits, counts.sum(axis=-1), counts.sum(axis=-2)


def _divide(part: ndarray, whole: ndarray) -> ndarray:
    """Divides counts; 0 / 0 is NaN."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _known(value: ndarray) -> float | None:
    return None if np.isnan(value) else float(value)


def _mean_over_images(values: ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
