"""NumPy scores of finished masks, all of them from counts of pixels.

Segment 0 is the background, the others are the foreground; pixels with label -1
are left out. One rule holds for what is not there: a score of a mask class is
left
out of a mean where it is 0 / 0, in neither the masks nor the predictions, and
counts in full where it is in one of them. So a mask class that is marked where
there is none scores 0, and an empty mask that stays empty says nothing. What
has nothing to go by is `None`.

*Pooled* scores come from the counts of all images together, so that a large
object counts more than a small one. Scores *per image* are taken of each image
and then averaged over the images that have one.
"""

import math

import numpy as np
from numpy import ndarray

from medzoo.scores.probabilities import confusion_matrix


def count(
    masks: ndarray, predictions: ndarray, num_mask_classes: int
) -> ndarray:
    """Counts the pixels of each image by label (row) and prediction (column).

    Args:
        masks: Integers, shape `(n, height, width)`; -1 marks an unlabelled
            pixel.
        predictions: Integers from 0, of the same shape.
        num_mask_classes: Number of mask classes.

    Returns:
        `int64`, shape `(n, num_mask_classes, num_mask_classes)`.

    Raises:
        ValueError: For arrays that do not fit and labels out of range.

    Example:

    >>> count(np.array([[[0, 1, 1, -1]]]), np.array([[[0, 0, 1, 1]]]), 2)
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


def score_masks(counts: ndarray) -> dict[str, float | None]:
    """Computes all scores of the masks of a split.

    Args:
        counts: As of `count`, shape `(n, num_mask_classes, num_mask_classes)`.

    Returns:
        Pooled over the images: `dice`, the mean over the foreground of
        `2 TP / (2 TP + FP + FN)`, and `foreground_dice`, that of the whole
        foreground as one mask class; over all mask classes `mean_iou`, that of
        `TP /
        (TP + FP + FN)`, and `mask_precision`, `mask_recall` and `mask_f1`, the
        macro means as scikit-learn takes them with `zero_division=0`;
        `mask_mcc`, Matthews' correlation; `pixel_accuracy`. Per image:
        `dice_per_image` and `mean_iou_per_image`.

    Example:

    >>> found = score_masks(np.array([[[6, 1], [0, 1]], [[8, 0], [0, 0]]]))
    >>> round(found["dice"], 4), round(found["dice_per_image"], 4)
    (0.6667, 0.6667)
    >>> found["pixel_accuracy"]
    0.9375

    Reference:

    - [Maier-Hein et al., 2024](https://doi.org/10.1038/s41592-023-02151-z), on
      what pooling, empty masks and small objects do to these scores.
    - [Gorodkin, 2004](https://doi.org/10.1016/j.compbiolchem.2004.09.006), MCC.
    """
    pooled = counts.sum(axis=0)
    hits, labels, marks = _margins(pooled)
    there = labels + marks > 0
    return {
        "dice": _mean(_dice(pooled)[1:]),
        "foreground_dice": _mean(_dice(_merge_foreground(pooled))[1:]),
        "mean_iou": _mean(_iou(pooled)),
        "mask_precision": _mean((hits / np.maximum(marks, 1))[there]),
        "mask_recall": _mean((hits / np.maximum(labels, 1))[there]),
        "mask_f1": _mean(_dice(pooled)),
        "mask_mcc": _mcc(pooled),
        "pixel_accuracy": _mean(_ratio(hits.sum(), labels.sum())),
        "dice_per_image": _mean(_row_means(_dice(counts)[:, 1:])),
        "mean_iou_per_image": _mean(_row_means(_iou(counts))),
    }


def per_class_dice(counts: ndarray) -> list[float | None]:
    """Returns the pooled Dice of each mask class, the background first.

    Example:

    >>> per_class_dice(np.array([[[2, 0, 0], [1, 1, 0], [0, 0, 0]]]))
    [0.8, 0.6666666666666666, None]
    """
    found = _dice(counts.sum(axis=0))
    return [None if math.isnan(value) else float(value) for value in found]


def dice_of_images(counts: ndarray) -> ndarray:
    """Returns the Dice of each image, the mean over its foreground.

    Returns:
        Shape `(n,)`; NaN for an image without any, in mask and prediction.

    Example:

    >>> dice_of_images(np.array([[[6, 1], [0, 1]], [[8, 0], [0, 0]]]))
    array([0.66666667,        nan])
    """
    return _row_means(_dice(counts)[:, 1:])


def _merge_foreground(counts: ndarray) -> ndarray:
    """Makes the background and the rest two mask_classes."""
    rows = np.stack([counts[0], counts[1:].sum(axis=0)])
    return np.stack([rows[:, 0], rows[:, 1:].sum(axis=1)], axis=1)


def _margins(counts: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Returns right pixels, labelled and predicted ones, by mask class."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return hits, counts.sum(axis=-1), counts.sum(axis=-2)


def _dice(counts: ndarray) -> ndarray:
    hits, labels, marks = _margins(counts)
    return _ratio(2 * hits, labels + marks)


def _iou(counts: ndarray) -> ndarray:
    hits, labels, marks = _margins(counts)
    return _ratio(hits, labels + marks - hits)


def _ratio(part: ndarray, whole: ndarray) -> ndarray:
    """Divides; 0 / 0 is NaN."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _row_means(values: ndarray) -> ndarray:
    """Averages each row over what is not NaN."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=1), known.sum(axis=1))


def _mean(values: ndarray) -> float | None:
    """Averages what is not NaN; `None` if there is nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _mcc(pooled: ndarray) -> float | None:
    """Returns it from shares of the pixels, whose counts may be very many."""
    if not pooled.sum():
        return None
    hits, labels, marks = _margins(pooled / pooled.sum())
    covariance = hits.sum() - labels @ marks
    scale = math.sqrt((1 - labels @ labels) * (1 - marks @ marks))
    return float(covariance / scale) if scale else 0.0
