"""Scores of probabilities of images that count several times, or not at all.

A bootstrap draws some images twice and others never, so that all its draws are
one matrix of whole numbers. All functions take probabilities of shape `(n,
num_classes)`, labels of shape `(n,)`, none of them -1, and these weights, of
shape `(..., n)`; they return the score of each draw, shape `(...)`, NaN where a
draw has none. Weights of one give the score itself.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy import ndarray

from medzoo.scores.counts import mean_of_known

# Bins of the calibration error, as in Guo et al., 2017.
NUM_BINS = 15
Weighted = Callable[[ndarray, ndarray, ndarray], ndarray]


def auc(probabilities: ndarray, labels: ndarray, weights: ndarray) -> ndarray:
    """Returns `medzoo.scores.probabilities.auc`, NaN if a class is absent."""
    by_class = _by_class([_auc_of_one], probabilities, labels, weights)[0]
    return by_class[..., 1] if by_class.shape[-1] == 2 else by_class.mean(-1)


def average_precision(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> ndarray:
    """Returns the mean average precision of the classes that occur.

    Of each class it is the sum of precision times the gain in recall over all
    thresholds, scikit-learn's `average_precision_score`.
    """
    of_one = [_average_precision_of_one]
    return mean_of_known(_by_class(of_one, probabilities, labels, weights)[0])


def areas_by_class(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> dict[str, ndarray]:
    """Returns the areas under the curves of each class against the rest.

    Returns:
        `auc`, NaN for a class without or with all images, and
        `average_precision`, NaN for one without; shape `(..., num_classes)`.
    """
    of_one = [_auc_of_one, _average_precision_of_one]
    found = _by_class(of_one, probabilities, labels, weights)
    return dict(zip(("auc", "average_precision"), found, strict=True))


def _by_class(
    of_one: Sequence[Callable[[ndarray, ndarray], ndarray]],
    probabilities: ndarray,
    labels: ndarray,
    weights: ndarray,
) -> list[ndarray]:
    """Computes each function of every class, which is sorted once."""
    found = []
    for label, scores in enumerate(probabilities.T):
        pooled = pool(scores, labels == label, weights)
        found.append([call(*pooled) for call in of_one])
    return [np.stack(each, axis=-1) for each in zip(*found, strict=True)]


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


def _auc_of_one(mine: ndarray, others: ndarray) -> ndarray:
    above = np.cumsum(mine, axis=-1) - mine / 2
    pairs = mine.sum(axis=-1) * others.sum(axis=-1)
    return _divide((above * others).sum(axis=-1), pairs)


def _average_precision_of_one(mine: ndarray, others: ndarray) -> ndarray:
    found = np.cumsum(mine, axis=-1)
    taken = np.cumsum(mine + others, axis=-1)
    precision = found / np.maximum(taken, 1)
    return _divide((precision * mine).sum(axis=-1), mine.sum(axis=-1))


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


def brier_reliability(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> ndarray:
    """Returns what the Brier score has from miscalibration; 0 is best.

    The probabilities of each class are sorted into 15 bins of equal width; it
    is the mean squared distance of the mean probability of a bin to the share
    of the class in it, summed over the classes, from [Murphy, 1973](
    https://doi.org/10.1175/1520-0450(1973)012%3C0595:ANVPOT%3E2.0.CO;2).
    """
    parts = _part_brier(probabilities, labels, weights)
    return parts[0]


def brier_resolution(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> ndarray:
    """Returns what the Brier score gains from telling images apart.

    It is the mean squared distance of the share of a class in a bin to that in
    all images. The Brier score is reliability, less resolution, plus what the
    shares of the classes alone cost, but for differences inside of bins.
    """
    parts = _part_brier(probabilities, labels, weights)
    return parts[1]


def _part_brier(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> tuple[ndarray, ndarray]:
    """Returns reliability and resolution."""
    total = np.sum(weights, axis=-1)[..., None]
    reliability = resolution = np.zeros(np.shape(weights)[:-1])
    for label, scores in enumerate(probabilities.T):
        members, is_mine = sort_into_bins(scores), labels == label
        number = weights @ members
        share = _divide(weights @ (members * is_mine[:, None]), number)
        forecast = _divide(weights @ (members * scores[:, None]), number)
        overall = (weights @ is_mine)[..., None] / total
        gaps = number * np.stack(
            [(forecast - share) ** 2, (share - overall) ** 2]
        )
        found = np.nansum(gaps, axis=-1) / total[..., 0]
        reliability, resolution = reliability + found[0], resolution + found[1]
    return reliability, resolution


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


def ece_equal_mass(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> ndarray:
    """Returns the calibration error over 15 bins of equally many images."""
    confidence, is_right, sizes = bin_equal_mass(probabilities, labels, weights)
    gaps = np.abs(is_right - confidence) * sizes
    return gaps.sum(axis=-1) / sizes.sum()


def ece_debiased(
    probabilities: ndarray, labels: ndarray, weights: ndarray
) -> ndarray:
    """Returns the equal-mass calibration error less what chance adds to it.

    The accuracy of a bin of `m` images is taken for normal, with the variance
    `a (1 - a) / m`; how much larger its distance to the confidence is expected
    to be than the one seen is subtracted. Of a calibrated model about half of
    the bias is left, and a value may be below 0. From [Kumar et al., 2019](
    https://arxiv.org/abs/1909.10155), in closed form.
    """
    confidence, is_right, sizes = bin_equal_mass(probabilities, labels, weights)
    gaps = np.abs(is_right - confidence)
    spread = np.sqrt(is_right * (1 - is_right) / np.maximum(sizes, 1))
    debiased = 2 * gaps - _mean_distance(gaps, spread)
    return (debiased * sizes).sum(axis=-1) / sizes.sum()


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
        weights: All draws have the same number of images.

    Returns:
        Mean confidence and accuracy, shape `(..., num_bins)`, and the sizes of
        the bins, shape `(num_bins,)`.
    """
    confidence, is_right = read_confidence(probabilities, labels)
    order = np.argsort(confidence, kind="stable")
    weights = np.asarray(weights)[..., order].astype("int64")
    shape, flat = weights.shape[:-1], weights.reshape(-1)
    places = np.tile(order, len(flat) // len(order))
    drawn = np.repeat(places, flat).reshape(*shape, -1)
    number = min(NUM_BINS, drawn.shape[-1])
    edges = np.arange(number + 1) * drawn.shape[-1] // number
    sizes = np.diff(edges)
    sums = [
        np.add.reduceat(values[drawn], edges[:-1], axis=-1)
        for values in (confidence, is_right)
    ]
    return sums[0] / sizes, sums[1] / sizes, sizes


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


WEIGHTED_SCORES: Mapping[str, Weighted] = {
    "auc": auc,
    "cross_entropy": cross_entropy,
    "average_precision": average_precision,
    "top_2_accuracy": top_2_accuracy,
    "brier": brier,
    "brier_reliability": brier_reliability,
    "brier_resolution": brier_resolution,
    "ece": ece,
    "ece_equal_mass": ece_equal_mass,
    "ece_debiased": ece_debiased,
}
