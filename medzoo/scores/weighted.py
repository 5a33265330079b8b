"""Scores of probabilities of images that count several times, or not at all.

A bootstrap draws some images twice and others never, so that all its draws are
one matrix of whole numbers. All functions take probabilities of shape `(n,
num_classes)`, labels of shape `(n,)`, none of them -1, and these weights, of
shape `(..., n)`; they return the score of each draw, shape `(...)`, NaN where a
draw has none. Weights of one give the score itself.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy import ndarray

from medzoo.scores.counts import mean_of_known

# Bins of the calibration error, as in Guo et al., 2017.
NUM_BINS = 15


def compute_weighted(
    names: Iterable[str],
    probabilities: ndarray,
    labels: ndarray,
    weights: ndarray,
) -> dict[str, ndarray]:
    """Computes scores of `WEIGHTED_SCORES`; those of one kind share their work.

    Example:

    >>> arrays = np.eye(2), np.array([0, 1]), np.ones(2)
    >>> float(compute_weighted(["auc", "brier"], *arrays)["auc"])
    1.0
    """
    names = list(names)
    found: dict[str, ndarray] = {}
    for compute in dict.fromkeys(WEIGHTED_SCORES[name] for name in names):
        found |= compute(probabilities, labels, weights)
    return {name: found[name] for name in names}


def _areas(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> dict[str, ndarray]:
    """Averages the areas of the classes.

    `auc` is `medzoo.scores.probabilities.auc`, NaN if a class is absent, and
    `average_precision` is of the classes that occur.
    """
    found = areas_by_class(probabilities, labels, weights)
    auc = found["auc"]
    is_binary = auc.shape[-1] == 2
    return {
        "auc": auc[..., 1] if is_binary else auc.mean(-1),
        "average_precision": mean_of_known(found["average_precision"]),
    }


def areas_by_class(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> dict[str, ndarray]:
    """Returns the areas under the curves of each class against the rest.

    Returns:
        `auc`, NaN for a class without or with all images, and
        `average_precision`, the sum of precision times the gain in recall over
        all thresholds (scikit-learn's `average_precision_score`), NaN for a
        class without images; shape `(..., num_classes)`.
    """
    # Rows of draws lie in one piece: sums over images are sums of rows.
    by_image = np.ascontiguousarray(np.moveaxis(np.asarray(weights), -1, 0))
    found = [
        _areas_of_one(scores, labels == label, by_image)
        for label, scores in enumerate(probabilities.T)
    ]
    auc, precision = (np.stack(each, -1) for each in zip(*found, strict=True))
    return {"auc": auc, "average_precision": precision}


def _areas_of_one(
    scores: ndarray, is_mine: ndarray, by_image: ndarray
) -> tuple[ndarray, ndarray]:
    """Returns AUC and average precision of one class against the rest."""
    order = np.argsort(-scores, kind="stable")
    rising = -scores[order]
    own = order[is_mine[order]]
    drawn = by_image[own]
    ends = [
        [
            _sum_first(rows, np.searchsorted(values, -scores[own], side))
            for rows, values in (
                (by_image[order], rising),
                (drawn, -scores[own]),
            )
        ]
        for side in ("left", "right")
    ]
    (above, mine_above), (taken, mine) = ends
    total = drawn.sum(axis=0)
    others = by_image.sum(axis=0) - total
    below = others - (above - mine_above + taken - mine) / 2
    precision = mine / np.maximum(taken, 1)
    return (
        _divide((drawn * below).sum(axis=0), total * others),
        _divide((drawn * precision).sum(axis=0), total),
    )


def _sum_first(rows: ndarray, numbers: ndarray) -> ndarray:
    """Sums the first so many rows, for each of the numbers."""
    sums = [*itertools.accumulate(rows, initial=np.zeros(rows.shape[1:]))]
    return np.array([sums[number] for number in numbers]).reshape(
        len(numbers), *rows.shape[1:]
    )


def pool(
    scores: ndarray, is_mine: ndarray, weights: ndarray
) -> tuple[ndarray, ndarray]:
    """Counts images of a class, and others, by score, the highest first.

    Returns:
        Two arrays of shape `(..., num_scores)`, of different scores.
    """
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    starts = np.flatnonzero(np.diff(falling, prepend=np.inf))
    drawn = np.take(weights, order, axis=-1)
    mine = drawn * is_mine[order]
    others = drawn - mine
    if len(starts) == len(order):
        return mine, others
    return (
        np.add.reduceat(mine, starts, axis=-1),
        np.add.reduceat(others, starts, axis=-1),
    )


def cross_entropy(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> ndarray:
    """Returns `medzoo.scores.probabilities.cross_entropy`."""
    kept = np.maximum(probabilities, np.finfo("float32").eps)
    of_label = kept[np.arange(len(labels)), labels] / kept.sum(axis=1)
    return _mean(-np.log(of_label), weights)


def brier(probabilities: ndarray, labels: ndarray, weights: ndarray) -> ndarray:
    """Returns the mean sum over classes of squared errors, 0 to 2.

    From [Brier, 1950](https://doi.org/10.1175/1520-0493(1950)078%3C0001:VOFEIT%3E2.0.CO;2).
    """
    one_hot = np.eye(probabilities.shape[1])[labels]
    return _mean(((probabilities - one_hot) ** 2).sum(axis=1), weights)


def _part_brier(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> dict[str, ndarray]:
    """Splits the Brier score into reliability and resolution, 0 at least.

    The probabilities of each class are sorted into 15 bins of equal width.
    *Reliability* is the mean squared distance of the mean probability of a bin
    to the share of the class in it, *resolution* that of this share to the one
    in all images, summed over the classes. The Brier score is reliability, less
    resolution, plus what the shares of the classes alone cost, but for
    differences inside of bins. From [Murphy, 1973](
    https://doi.org/10.1175/1520-0450(1973)012%3C0595:ANVPOT%3E2.0.CO;2).
    """
    one_hot = np.eye(probabilities.shape[1])[labels]
    total = np.sum(weights, axis=-1)[..., None]
    overall = (weights @ one_hot) / total
    reliability = resolution = np.zeros(np.shape(weights)[:-1])
    for label, scores in enumerate(probabilities.T):
        members = sort_into_bins(scores)
        members = members[:, members.any(axis=0)]
        summed = [np.ones(len(scores)), one_hot[:, label], scores]
        columns = np.concatenate([members * v[:, None] for v in summed], axis=1)
        number, mine, sums = np.split(weights @ columns, 3, axis=-1)
        known = np.maximum(number, 1)  # An empty bin counts 0 times.
        share, forecast = mine / known, sums / known
        gaps = [(forecast - share) ** 2, (share - overall[..., [label]]) ** 2]
        found = [(number * gap).sum(axis=-1) / total[..., 0] for gap in gaps]
        reliability, resolution = reliability + found[0], resolution + found[1]
    return {"brier_reliability": reliability, "brier_resolution": resolution}


def sort_into_bins(values: ndarray) -> ndarray:
    """Returns which of the bins of equal width has each value, `(n, bins)`.

    A bin holds its upper end and not its lower one; the first holds 0.
    """
    bins = np.clip(np.ceil(values * NUM_BINS) - 1, 0, NUM_BINS - 1)
    return np.eye(NUM_BINS)[bins.astype(int)]


def top_2_accuracy(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> ndarray:
    """Returns the share of images whose label is among the two most probable.

    The first class of a tie counts as the more probable.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return _mean((order == labels[:, None]).any(axis=1), weights)


def ece(probabilities: ndarray, labels: ndarray, weights: ndarray) -> ndarray:
    """Returns the expected calibration error over bins of equal width.

    Images are sorted into 15 bins by the probability of the predicted class;
    it is the mean over images of `|accuracy - mean confidence|` of their bins,
    from [Guo et al., 2017](https://arxiv.org/abs/1706.04599). A bin holds its
    upper end and not its lower one.
    """
    confidence, is_right = read_confidence(probabilities, labels)
    of_bin = sort_into_bins(confidence)
    gaps = weights @ (of_bin * (is_right - confidence)[:, None])
    return _divide(np.abs(gaps).sum(axis=-1), np.sum(weights, axis=-1))


def _ece_equal_mass(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> dict[str, ndarray]:
    """Returns the calibration error over 15 bins of equally many images.

    `ece_debiased` is the same less what chance adds to it. The accuracy of a
    bin of `m` images is taken for normal, with the variance `a (1 - a) / m`;
    how much larger its distance to the confidence is expected to be than the
    one seen is subtracted. Of a calibrated model about half of the bias is
    left, and a value may be below 0. From [Kumar et al., 2019](
    https://arxiv.org/abs/1909.10155), in closed form.
    """
    confidence, is_right, sizes = bin_equal_mass(probabilities, labels, weights)
    gaps = np.abs(is_right - confidence)
    spread = np.sqrt(is_right * (1 - is_right) / np.maximum(sizes, 1))
    debiased = 2 * gaps - _mean_distance(gaps, spread)
    return {
        name: (values * sizes).sum(axis=-1) / sizes.sum(axis=-1)
        for name, values in (
            ("ece_equal_mass", gaps),
            ("ece_debiased", debiased),
        )
    }


def _mean_distance(middle: ndarray, spread: ndarray) -> ndarray:
    """Returns the mean absolute value of normal numbers (folded normal)."""
    from scipy import special

    ratio = middle / np.where(spread > 0, spread, 1)
    tail = spread * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2)
    inside = np.where(spread > 0, special.erf(ratio / np.sqrt(2)), 1)
    return tail + middle * inside


def bin_equal_mass(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> tuple[ndarray, ndarray, ndarray]:
    """Sorts images by confidence into up to 15 bins of equally many.

    Args:
        weights: Whole numbers, shape `(..., n)`; draws may differ in their sum.

    Returns:
        Mean confidence and accuracy, and the sizes of the bins, each of shape
        `(..., num_bins)`.
    """
    confidence, is_right = read_confidence(probabilities, labels)
    order = np.argsort(confidence, kind="stable")
    weights = np.asarray(weights, "float64")[..., order]
    number = min(NUM_BINS, int(weights.sum(axis=-1).min()))
    counts = _accumulate(weights)
    edges = np.arange(number + 1) * counts[..., -1:] // number
    sizes = np.diff(edges)
    sums = [
        # Repeats of an image lie on a line, so that a bin may end among them.
        np.diff(_interpolate(edges, counts, _accumulate(weights * values)))
        for values in (confidence[order], is_right[order])
    ]
    return sums[0] / sizes, sums[1] / sizes, sizes


def _accumulate(values: ndarray) -> ndarray:
    """Returns the sums of the first 0, 1, ... and n values."""
    sums = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, out=sums[..., 1:])
    return sums


def _interpolate(at: ndarray, x: ndarray, y: ndarray) -> ndarray:
    """Interpolates each row of `y` over that of `x`."""
    rows = zip(*(np.atleast_2d(a) for a in (at, x, y)), strict=True)
    return np.stack([np.interp(*row) for row in rows]).reshape(at.shape)


def read_confidence(
    probabilities: ndarray, labels: ndarray
) -> tuple[ndarray, ndarray]:
    """Returns the probability of the predicted class, and whether it is right.

    Both have the shape `(n,)`, and the second is 0 or 1.
    """
    is_right = probabilities.argmax(axis=1) == labels
    return probabilities.max(axis=1), is_right.astype("float64")


def _mean(values: ndarray, weights: ndarray) -> ndarray:
    return _divide(np.asarray(weights) @ values, np.sum(weights, axis=-1))


def _divide(part: ndarray, whole: ndarray) -> ndarray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


_Compute = Callable[[ndarray, ndarray, ndarray], dict[str, ndarray]]


def _alone(call: Callable[[ndarray, ndarray, ndarray], ndarray]) -> _Compute:
    name = call.__name__
    return lambda *arrays: {name: call(*arrays)}


# What computes each score, others of its kind beside it.
WEIGHTED_SCORES: Mapping[str, _Compute] = {
    "auc": _areas,
    "cross_entropy": _alone(cross_entropy),
    "average_precision": _areas,
    "top_2_accuracy": _alone(top_2_accuracy),
    "brier": _alone(brier),
    "brier_reliability": _part_brier,
    "brier_resolution": _part_brier,
    "ece": _alone(ece),
    "ece_equal_mass": _ece_equal_mass,
    "ece_debiased": _ece_equal_mass,
}
