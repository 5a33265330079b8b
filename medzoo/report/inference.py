"""How sure a difference of two trials is, when seeds are few.

All of it works on `values[k, s]`, the score of trial `k` with seed `s`: the
harmonic mean over the tasks of that seed, or the score itself of one task. Two
things make it vary. *Seeds* are blocks: what a seed does to all trials alike
leaves their differences, and the spread of all trials tells about each of them.
*Test images* are shared by all seeds, so no number of seeds averages them away;
they come in as the covariance of the trials over bootstrap replicates.

NaN marks a seed that a trial has not been given, as one that was settled early;
a pair is compared on the seeds that both have.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import NamedTuple

import numpy as np

# Degrees of freedom that the pool of all trials counts for at most. Committed
# studies would bear 15 to 145; few keep the level when trials differ in spread.
PRIOR_FREEDOM = 4
# A trial whose seeds spread over this many times the others' is unsteady.
UNSTEADY = 3.0
NUM_DRAWS = 2_000
_STEADY = 1e-12
# Pairs that are compared at once, as far as caches reach.
_AT_ONCE = 2**17
# Up to so many degrees of freedom a matched quantile is too small.
FEW_FREEDOM = 3


@dataclass(frozen=True)
class Sureness:
    """Estimates and how far off they may be.

    Args:
        estimate: Mean over seeds, shape `(..., n)`.
        seeds: Its variance over other seeds, `A`.
        images: Its variance over other test images, `V`.
        freedom: Degrees of freedom of `A`; 0 if nothing tells of it.
        num_seeds: Seeds that each estimate is the mean of, shape `(n,)`.
    """

    estimate: np.ndarray
    seeds: np.ndarray
    images: np.ndarray
    freedom: np.ndarray
    num_seeds: np.ndarray

    @property
    def _is_few(self) -> np.ndarray:
        return self.freedom <= FEW_FREEDOM

    @property
    def matched_freedom(self) -> np.ndarray:
        """Degrees of freedom `g = f (A + V) / A` of both sources together."""
        total = self.seeds + self.images
        known = self.seeds > 1e-12 * np.maximum(total, 1e-300)
        shares = total / np.where(known, self.seeds, 1.0)
        return np.where(known, np.maximum(self.freedom, 1) * shares, 1e9)

    def half_widths(self, level: float | np.ndarray = 0.05) -> np.ndarray:
        """Returns half the width of the intervals of confidence `1 - level`.

        It is `t(g) sqrt(A + V)`. With up to three degrees of freedom this falls
        while `V` grows, and calls 9 % of equal trials different, so that there
        it is `t(f) sqrt(A)` at least. Without any it covers images alone.
        """
        from scipy import special

        upper = 1 - level / 2
        matched = special.stdtrit(self.matched_freedom, upper)
        alone = special.stdtrit(np.maximum(self.freedom, 1), upper)
        found = np.maximum(
            matched * np.sqrt(self.seeds + self.images),
            np.where(self._is_few, alone * np.sqrt(self.seeds), 0.0),
        )
        only_images = special.ndtri(upper) * np.sqrt(self.images)
        return np.where(self.freedom > 0, found, only_images)

    @property
    def p(self) -> np.ndarray:
        """Two-sided p-values that the truth is 0; NaN where nothing tells.

        The interval of confidence `1 - p` ends at 0: interval and test are one
        statistic.
        """
        from scipy import special

        matched = _ratio(self.estimate, self.seeds + self.images)
        alone = _ratio(self.estimate, self.seeds)
        least = special.stdtr(np.maximum(self.freedom, 1), -alone)
        found = np.maximum(
            special.stdtr(self.matched_freedom, -matched),
            np.where(self._is_few, least, 0.0),
        )
        return np.where(self.is_unknown, np.nan, 2 * found)

    @property
    def is_unknown(self) -> np.ndarray:
        """Where nothing tells of the spread over seeds, or over images."""
        return (self.freedom == 0) | np.isnan(self.images)


def image_covariance(replicates: np.ndarray) -> np.ndarray:
    """Returns what test images do to each two trials, whatever the seed.

    All seeds are tested on the same images. What the images do to every seed
    alike stays however many seeds are averaged; what they do to one seed alone
    is already in the spread over seeds and must not be counted twice. So this
    is the mean covariance of the replicates of two *different* seeds. One seed
    cannot be parted: its whole covariance is returned.

    Args:
        replicates: Bootstraps over test images, shape
            `(num_replicates, num_trials, num_seeds)`; NaN where a trial has no
            run.

    Returns:
        Shape `(num_trials, num_trials)`; the variance of a difference is
        `M[a, a] + M[b, b] - 2 M[a, b]`, at least 0.

    Example:

    >>> luck = np.random.default_rng(0).normal(size=(4000, 1, 1))
    >>> image_covariance(np.tile(luck, (1, 2, 3))).round(1)
    array([[1., 1.],
           [1., 1.]])
    """
    known = ~np.isnan(replicates).any(axis=0)
    centred = replicates - replicates.mean(axis=0)
    np.copyto(centred, 0.0, where=~known)
    degrees = len(replicates) - 1
    together = centred.sum(axis=2)
    products = together.T @ together / degrees
    alone = np.zeros_like(products)
    for seed in np.moveaxis(centred, 2, 0):
        of_seed = np.ascontiguousarray(seed)
        alone += of_seed.T @ of_seed
    alone /= degrees
    counts = known.sum(axis=1)
    both = known.astype(int) @ known.T.astype(int)
    pairs = np.outer(counts, counts) - both
    several = pairs > 0
    apart = (products - alone) / np.where(several, pairs, 1)
    return np.where(several, apart, alone / np.maximum(both, 1))


def compare_pairs(
    values: np.ndarray,
    images: np.ndarray,
    pairs: Sequence[tuple[int, int]] | np.ndarray,
    *,
    overlap: float = 0.0,
) -> Sureness:
    """Compares pairs of trials, with the spread of all trials as a prior.

    For K trials, S seeds, `d = S - 1` and a pair (a, b) with `s2` the variance
    over seeds of its difference and `SS` the sum of squares of
    `H - mean over trials - mean over seeds + mean`:

        prior = 2 max(SS - d s2 / 2, 0) / ((K - 2) d)
        v     = max((dd prior + d s2) / (dd + d), s2),  dd = min(4, (K - 2) d)
        A     = v / S,  f = dd + d

    so the pair is left out of its own prior, and never called steadier than it
    was seen to be. A trial without spread over seeds (a logistic regression)
    leaves the pool; a pair with one such takes the mean variance of the other
    trials as its prior, a pair of two has `A = 0`. With trials that have fewer
    seeds than others, `SS` is that of the additive model of trials and seeds
    and `(K - 2) d` the degrees of freedom that the pair leaves over.

    Args:
        values: Scores, shape `(..., num_trials, num_seeds)`, at least one
            trial; the same cells are NaN in all leading places.
        images: As `image_covariance` has it.
        pairs: Numbers of two trials each; the second is subtracted.
        overlap: Images of test by those of train, where each seed has another
            split of the same images: then `A = v (1 / S + overlap)`, as
            training sets overlap.

    Example:

    >>> values = np.array([[0.50, 0.52, 0.51], [0.41, 0.40, 0.42]])
    >>> found = compare_pairs(values, np.zeros((2, 2)), [(0, 1)])
    >>> found.estimate.round(2), found.p.round(4)
    (array([0.1]), array([0.0099]))

    Reference:
        [Smyth, 2004](https://doi.org/10.2202/1544-6115.1027), whose prior is
        estimated; [Nadeau and Bengio, 2003](
        https://doi.org/10.1023/A:1024068626366).
    """
    pairs = np.asarray(pairs, dtype=int).reshape(-1, 2)
    differences = _over_seeds(
        values[..., pairs[:, 0], :] - values[..., pairs[:, 1], :]
    )
    spread = _Spread.of(values)
    return _compare(spread, images, pairs, differences, overlap)


def _compare(
    spread: "_Spread",
    images: np.ndarray,
    pairs: np.ndarray,
    differences: tuple[np.ndarray, np.ndarray, np.ndarray],
    overlap: float,
    draws: "np.ndarray | EllipsisType" = ...,
) -> Sureness:
    """Compares pairs by mean, variance and number of their differences.

    Args:
        spread: Of all trials.
        images: As of `compare_pairs`.
        pairs: As of `compare_pairs`.
        differences: As of `_over_seeds`.
        overlap: As of `compare_pairs`.
        draws: Of which of several studies each pair is; all pairs of all of
            them if left out.
    """
    first, second = pairs.T
    mean, own, counts = differences
    degrees = np.maximum(counts - 1, 0)
    moving = spread.moving[first].astype(int) + spread.moving[second]
    rest = np.maximum(spread.freedom - degrees, 0)
    squares = (
        spread.squares[..., None] if draws is ... else spread.squares[draws]
    )
    prior = 2 * np.maximum(squares - degrees * own / 2, 0) / np.maximum(rest, 1)
    if (moving == 1).any():
        mover = np.where(spread.moving[first], first, second)
        others, others_rest = spread.of_others
        prior = np.where(moving == 1, others[draws, mover], prior)
        rest = np.where(moving == 1, others_rest[mover], rest)
    rest = np.where(moving == 0, 0, rest)
    variance, freedom = _moderate(own, degrees, prior, rest)
    covariance = images[first, first] + images[second, second]
    covariance = covariance - images[first, second] - images[second, first]
    return _sureness(
        mean, variance, freedom, counts, np.maximum(covariance, 0), overlap
    )


def estimate_trials(
    values: np.ndarray, images: np.ndarray, *, overlap: float = 0.0
) -> Sureness:
    """Estimates the score of each trial, with the others' spread as a prior.

    For n trials that spread over seeds, `own` the variance of one and `others`
    the mean of the rest:

        v  = max((dd others + d own) / (dd + d), own)
        dd = min(4, d (n - 1) (1 - r^2) / (1 + (n - 2) r^2))

    `r` is the intraclass correlation of the analysis of variance, cut to 0 to
    1: trials that move together with the seed tell less about its spread.

    Args:
        values: As of `compare_pairs`.
        images: As of `compare_pairs`.
        overlap: As of `compare_pairs`.

    Example:

    >>> values = np.array([[0.50, 0.52, 0.51], [0.41, 0.40, 0.42]])
    >>> estimate_trials(values, np.zeros((2, 2))).half_widths().round(3)
    array([0.016, 0.016])
    """
    spread = _Spread.of(values)
    mean, own, counts = _over_seeds(values)
    degrees = np.maximum(counts - 1, 0)
    others, rest = spread.of_others
    r2 = spread.correlation[..., None] ** 2
    num_others = np.maximum(spread.moving.sum() - 2, 0)
    rest = np.where(spread.moving, rest * (1 - r2) / (1 + num_others * r2), 0)
    variance, freedom = _moderate(own, degrees, others, rest)
    return _sureness(
        mean, variance, freedom, counts, np.maximum(np.diag(images), 0), overlap
    )


def p_of_all_pairs(
    values: np.ndarray,
    images: np.ndarray,
    *,
    overlap: float = 0.0,
    num_draws: int = NUM_DRAWS,
) -> np.ndarray:
    """Corrects the p-values of all pairs, for trials picked by their scores.

    The best trial was picked by the numbers that it is then compared with, so
    the family of its comparisons is all pairs. The smallest p-value of all
    pairs is drawn where all trials are equal: normal errors in every cell,
    whose variance is the residual sum of squares by a draw of chi-squared, and
    errors of covariance `images` for every trial. With the residual variance
    itself the best of equal trials was called better in 7 to 8 % of studies of
    two seeds, and so it is in 3 to 5 %. A pair's corrected p-value is
    `(1 + #{draws whose smallest p <= p}) / (1 + num_draws)`. The generator is
    fixed, so the same numbers give the same p-values.

    Args:
        values: Scores, shape `(num_trials, num_seeds)`.
        images: As of `compare_pairs`.
        overlap: As of `compare_pairs`.
        num_draws: How often to draw.

    Returns:
        Shape `(num_trials, num_trials)`, symmetric; NaN on the diagonal.

    Reference:
        [Westfall and Young, 1993](https://www.wiley.com/en-us/9780471557616).
    """
    num_trials = len(values)
    pairs = np.argwhere(np.triu(np.ones((num_trials, num_trials)), 1))
    found = np.full((num_trials, num_trials), np.nan)
    if not len(pairs):
        return found
    p = compare_pairs(values, images, pairs, overlap=overlap).p
    if len(pairs) > 1 and not np.isnan(p).all():
        # In a fixed order, whatever that of the trials is.
        order = np.argsort(_over_seeds(values)[0], kind="stable")
        smallest = _draw_smallest(
            values[order],
            images[np.ix_(order, order)],
            overlap=overlap,
            num_draws=num_draws,
        )
        reached = np.sort(smallest).searchsorted(p * (1 + 1e-9), "right")
        # A correction never lowers a p-value.
        corrected = np.maximum((1 + reached) / (1 + num_draws), p)
        p = np.where(np.isnan(p), np.nan, corrected)
    found[pairs[:, 0], pairs[:, 1]] = found[pairs[:, 1], pairs[:, 0]] = p
    return found


def luck_of_best(values: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Returns by how much the best of several trials is likely too good.

    The highest of K means is high by luck as well. It is drawn to the mean `m`
    of all by `B (m_best - m)` with

        B = min(1, (K - 3) / (K - 1) v / var(m_k)),  K > 3

    where `v` is the variance that equal trials would have between them: the
    residual variance by the number of seeds, plus that of the images less what
    all trials share. Uncorrected, the interval of the best of nine equal trials
    covers its truth in 90 to 91 % of studies.

    Args:
        values: As of `compare_pairs`.
        images: As of `compare_pairs`.

    Returns:
        Shape `(...)`, at least 0.

    Reference:
        [Efron and Morris, 1973](https://doi.org/10.2307/2284155).
    """
    mean, _, counts = _over_seeds(values)
    num_trials = mean.shape[-1]
    lead = mean.max(axis=-1) - mean.mean(axis=-1)
    if num_trials <= 3:
        return np.zeros_like(lead)
    spread = _Spread.of(values)
    residual = spread.squares / max(spread.freedom, 1)
    shared = (images.sum() - np.trace(images)) / num_trials / (num_trials - 1)
    alone = max(np.trace(images) / num_trials - shared, 0.0)
    error = residual * (1 / counts).mean() + alone
    between = np.maximum(mean.var(axis=-1, ddof=1), 1e-300)
    share = (num_trials - 3) / (num_trials - 1) * error / between
    return np.minimum(share, 1) * lead


def find_unsteady(values: np.ndarray) -> np.ndarray:
    """Says which trials spread over three times as far as the others do.

    The standard deviation over seeds is compared with that of all other trials
    together. No test keeps its level where a single trial may collapse and the
    seeds at hand do not show it, so one that is near it is named.

    Args:
        values: As of `compare_pairs`.

    Returns:
        Booleans, shape `(..., num_trials)`.

    Example:

    >>> find_unsteady(np.array([[0.5, 0.2], [0.5, 0.51], [0.6, 0.62]]))
    array([ True, False, False])
    """
    spread = _Spread.of(values)
    _, own, _ = _over_seeds(values)
    others, rest = spread.of_others
    return (own > UNSTEADY**2 * others) & (rest > 0) & (others > 0)


def holm(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """Corrects p-values, so that 5 % of studies at most claim anything wrong.

    The smallest of `m` is multiplied by `m`, the next by `m - 1` and so on, and
    none is below a smaller one's.

    Args:
        p_values: In any order.
        family: `m`, if more were tested than are given: those left out count as
            larger ones, which can only raise the result.

    Example:

    >>> holm([0.03, 0.01])
    [0.03, 0.02]

    Reference:
        [Holm, 1979](https://www.jstor.org/stable/4615733).
    """
    count = len(p_values) if family is None else family
    order = np.argsort(p_values, kind="stable")
    steps = np.array(p_values)[order] * (count - np.arange(len(p_values)))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()


def normal_range(number: int) -> float:
    """Returns the 95 % point of the range of normal values.

    It is the studentised range for infinite degrees of freedom:
    `P(range <= q) = k int phi(z) (Phi(z + q) - Phi(z))^(k - 1) dz`. SciPy has
    it in `scipy.stats`, whose import takes longer than all else in a report.

    Args:
        number: How many values, from 2 on.

    Example:

    >>> round(normal_range(3), 3)
    3.314
    """
    from scipy import special

    values, ranges = np.arange(-8, 8, 0.05), np.arange(1, 12, 0.005)
    inside = special.ndtr(values + ranges[:, None]) - special.ndtr(values)
    density = np.exp(-(values**2) / 2) / math.sqrt(2 * math.pi)
    below = number * 0.05 * (density * inside ** (number - 1)).sum(axis=1)
    return float(np.interp(0.95, below, ranges))


def residual_variance(values: np.ndarray) -> float:
    """Returns the variance of one score that neither trial nor seed explains.

    Twice of it is the variance over seeds of a difference; it is what a plan of
    a study asks for.

    Args:
        values: Scores, shape `(num_trials, num_seeds)`.

    Example:

    >>> round(residual_variance(np.array([[0.1, 0.3], [0.3, 0.1]])), 3)
    0.04
    """
    spread = _Spread.of(values)
    return float(spread.squares) / max(spread.freedom, 1)


class _Spread(NamedTuple):
    """The spread over seeds of all trials that have any.

    Args:
        moving: Which trials differ between seeds, shape `(num_trials,)`.
        squares: Sum of squares that neither trial nor seed explains, `(...)`.
        freedom: Its degrees of freedom.
        variances: Of each trial over its seeds, 0 of others, `(..., n)`.
        degrees: Degrees of freedom of the variances, 0 of others, `(n,)`.
    """

    moving: np.ndarray
    squares: np.ndarray
    freedom: int
    variances: np.ndarray
    degrees: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "_Spread":
        mean, variances, counts = _over_seeds(values)
        far = np.abs(values - mean[..., None]) > _STEADY
        moving = far.reshape(-1, *values.shape[-2:]).any(axis=(0, 2))
        squares, freedom = _sum_squares(values[..., moving, :])
        degrees = np.where(moving, np.maximum(counts - 1, 0), 0)
        return cls(moving, squares, freedom, variances, degrees)

    @property
    def correlation(self) -> np.ndarray:
        """Intraclass correlation of the trials that a seed has in common."""
        total = (self.variances * self.degrees).sum(axis=-1)
        mean = total / max(self.degrees.sum(), 1)
        known = (mean > 0) & (self.freedom > 0)
        residual = self.squares / max(self.freedom, 1)
        found = 1 - residual / np.where(known, mean, 1)
        return np.where(known, np.clip(found, 0, 1), 0.0)

    @property
    def of_others(self) -> tuple[np.ndarray, np.ndarray]:
        """Pooled variance of all trials but each, and its freedom."""
        weighted = self.variances * self.degrees
        rest = self.degrees.sum() - self.degrees
        total = weighted.sum(axis=-1, keepdims=True) - weighted
        return np.maximum(total, 0) / np.maximum(rest, 1), rest


def _sum_squares(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Returns the squares that trials and seeds leave over, and freedom."""
    num_trials, num_seeds = values.shape[-2:]
    if not num_trials:
        return np.zeros(values.shape[:-2]), 0
    cells = values.reshape(*values.shape[:-2], num_trials * num_seeds)
    known = ~np.isnan(cells.reshape(-1, cells.shape[-1])).any(axis=0)
    if known.all():
        left = values - values.mean(axis=-1, keepdims=True)
        left = left - left.mean(axis=-2, keepdims=True)
        freedom = (num_trials - 1) * (num_seeds - 1)
        return (left**2).sum(axis=(-2, -1)), freedom
    basis = _find_basis(num_trials, num_seeds, known.tobytes())
    cells = cells[..., known]
    left = cells - (cells @ basis) @ basis.T
    return (left**2).sum(axis=-1), len(basis) - basis.shape[1]


# Draws of a study ask for the same one many times.
@functools.lru_cache(maxsize=4)
def _find_basis(num_trials: int, num_seeds: int, known: bytes) -> np.ndarray:
    """Returns an orthonormal basis of what trials and seeds explain."""
    trials = np.repeat(np.eye(num_trials), num_seeds, axis=0)
    seeds = np.tile(np.eye(num_seeds), (num_trials, 1))
    design = np.hstack([trials, seeds])[np.frombuffer(known, dtype=bool)]
    basis, sizes, _ = np.linalg.svd(design, full_matrices=False)
    return basis[:, sizes > 1e-9 * sizes[0]]


def _over_seeds(
    values: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns mean, variance and number of the seeds that are there."""
    known = ~np.isnan(values)
    counts = known.reshape(-1, *values.shape[-2:]).all(axis=0).sum(axis=-1)
    safe = np.maximum(counts, 1)
    mean = np.where(known, values, 0.0).sum(axis=-1) / safe
    left = np.where(known, values - mean[..., None], 0.0)
    variance = (left**2).sum(axis=-1) / np.maximum(counts - 1, 1)
    return np.where(counts > 0, mean, np.nan), variance, counts


def _multiply_pairs(
    values: np.ndarray, rows: slice, columns: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns `_over_seeds` of the differences of trials, by products of all.

    The sum of squares of a difference is that of both less twice their product.
    It is right to about 1e-12 of itself, which is enough for a bound.
    """
    known = ~np.isnan(values).any(axis=0)
    middle, _, _ = _over_seeds(values)
    left = np.where(known, values - middle[..., None], 0.0)
    mine, others = left[:, rows], np.swapaxes(left[:, columns], -1, -2)
    means = middle[:, rows, None] - middle[:, None, columns]
    if known.all():
        squares = (left**2).sum(axis=-1)
        squares = squares[:, rows, None] + squares[:, None, columns]
        counts = np.full(squares.shape[1:], values.shape[-1])
    else:
        weight = known.astype("float64")
        my_weight, weight_of_others = weight[rows], weight[columns].T
        counts = my_weight @ weight_of_others
        total = mine @ weight_of_others - my_weight @ others
        means += total / np.maximum(counts, 1)
        squares = mine**2 @ weight_of_others + my_weight @ others**2
        squares -= total**2 / np.maximum(counts, 1)
    squares -= 2 * (mine @ others)
    variances = np.maximum(squares, 0, out=squares)
    variances /= np.maximum(counts - 1, 1)
    return means, variances, counts


def _moderate(
    own: np.ndarray, degrees: np.ndarray, prior: np.ndarray, rest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a variance to its prior, never below itself."""
    weight = np.minimum(PRIOR_FREEDOM, rest)
    freedom = weight + degrees
    drawn = (weight * prior + degrees * own) / np.where(freedom > 0, freedom, 1)
    return np.maximum(drawn, own), freedom


def _sureness(
    mean: np.ndarray,
    variance: np.ndarray,
    freedom: np.ndarray,
    counts: np.ndarray,
    images: np.ndarray,
    overlap: float,
) -> Sureness:
    seeds = variance * (1 / np.maximum(counts, 1) + overlap)
    mean, seeds, images, freedom = np.broadcast_arrays(
        mean, seeds, images, freedom
    )
    return Sureness(mean, seeds, images, freedom, counts)


def _ratio(estimate: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Divides by a standard error; a difference without one is infinite."""
    known = variance > 0
    found = np.abs(estimate) / np.sqrt(np.where(known, variance, 1.0))
    sure = known | (estimate == 0) | np.isnan(variance)
    return np.where(sure, found, np.inf)


def _draw_smallest(
    values: np.ndarray,
    images: np.ndarray,
    *,
    overlap: float,
    num_draws: int,
) -> np.ndarray:
    """Draws the smallest p-value of all pairs of equal trials."""
    random = np.random.default_rng(0)
    spread = _Spread.of(values)
    # How large the residual variance is, is not known either.
    chances = random.chisquare(max(spread.freedom, 1), size=num_draws)
    # Where nothing but one trial spreads, its errors are of any size.
    errors = np.sqrt(np.maximum(spread.squares, 1e-30) / chances)
    errors = errors[:, None, None]
    sizes, axes = np.linalg.eigh((images + images.T) / 2)
    root = (axes * np.sqrt(np.maximum(sizes, 0))) @ axes.T
    cells = np.where(np.isnan(values), np.nan, 0.0)
    # How many are drawn at once is part of what is drawn.
    num_pairs = len(values) * (len(values) - 1) // 2
    step = max(1, min(num_draws, 2**22 // (num_pairs * values.shape[1])))
    at_once = max(1, _AT_ONCE // len(values) ** 2)
    found, least = [], None
    for start in range(0, num_draws, step):
        count = min(step, num_draws - start)
        noise = random.normal(size=(count, *values.shape))
        noise = noise * errors[start : start + count]
        luck = random.normal(size=(count, len(values))) @ root.T
        drawn = cells + noise * spread.moving[:, None] + luck[..., None]
        if least is None:
            least = _Least.of(drawn, images, overlap)
        found += [
            smallest_p(
                drawn[at : at + at_once], images, overlap=overlap, least=least
            )
            for at in range(0, count, at_once)
        ]
    return np.concatenate(found)


class _Least(NamedTuple):
    """What all pairs have at least, whatever their own spread over seeds.

    With a spread of its own a pair has a larger variance, and so a larger
    p-value and fewer degrees of freedom.

    Args:
        seeds: Variance over seeds, as a share of the squares that all trials
            leave over; shape `(num_trials, num_trials)`.
        images: Variance over test images, infinite where a pair has no p-value,
            and at and below the diagonal.
        freedom: Most degrees of freedom of a pair.
        more: What the images add to them, by the squares that are left over.
    """

    seeds: np.ndarray
    images: np.ndarray
    freedom: int
    more: float

    @classmethod
    def of(
        cls, values: np.ndarray, images: np.ndarray, overlap: float
    ) -> "_Least":
        num_trials = values.shape[-2]
        pairs = np.indices(images.shape).reshape(2, -1).T
        known = (~np.isnan(values).any(axis=0)).astype(int)
        counts = (known @ known.T).ravel()
        spread = _Spread.of(values)._replace(
            squares=np.ones(()), variances=np.zeros(num_trials)
        )
        none = np.zeros(len(pairs))
        found = _compare(spread, images, pairs, (none, none, counts), overlap)
        left_out = found.is_unknown | np.tri(num_trials, dtype=bool).ravel()
        with np.errstate(divide="ignore", invalid="ignore"):
            more = (found.freedom * found.images / found.seeds)[~left_out]
        return cls(
            found.seeds.reshape(images.shape),
            np.where(left_out, np.inf, found.images).reshape(images.shape),
            found.freedom.max(),
            np.fmax.reduce(more, initial=0.0),
        )


def smallest_p(
    values: np.ndarray,
    images: np.ndarray,
    *,
    overlap: float = 0.0,
    least: _Least | None = None,
) -> np.ndarray:
    """Finds the smallest p-value of all pairs, without most of them.

    A p-value falls with the ratio `t` of a difference to its error and with its
    degrees of freedom. A pair is left aside if it cannot reach the p-value of
    the pair that may have the largest `t`.

    Args:
        values: Scores of several studies, shape
            `(num_studies, num_trials, num_seeds)`; the same cells are NaN in
            all of them.
        images: As of `compare_pairs`.
        overlap: As of `compare_pairs`.
        least: Of these values, if it is known already.

    Returns:
        One a study; NaN where no pair has any.
    """
    from scipy import special

    if least is None:
        least = _Least.of(values, images, overlap)
    if np.isinf(least.images).all():
        return np.full(len(values), np.nan)
    spread = _Spread.of(values)
    ratios = _bound_ratios(values, spread.squares, least, overlap)

    def find_p(draws: np.ndarray, at: np.ndarray) -> np.ndarray:
        pairs = np.stack(np.divmod(at, len(images)), axis=1)
        first, second = pairs.T
        differences = _over_seeds(values[draws, first] - values[draws, second])
        found = _compare(spread, images, pairs, differences, overlap, draws)
        return found.p

    found = find_p(np.arange(len(values)), ratios.argmax(axis=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        more = np.nan_to_num(least.more / spread.squares, posinf=1e9)
    reached = special.stdtrit(least.freedom + more, found / 2)
    # As far as the two functions of SciPy are each other's inverse.
    draws, at = np.nonzero(ratios >= 0.998 * reached[:, None] ** 2)
    np.fmin.at(found, draws, find_p(draws, at))
    return found


def _bound_ratios(
    values: np.ndarray, squares: np.ndarray, least: _Least, overlap: float
) -> np.ndarray:
    """Bounds the squared ratios of all pairs; 0 where one is left out.

    A variance over seeds is its own at least, and that of `least`.

    Returns:
        Shape `(num_studies, num_trials**2)`.
    """
    num_studies, num_trials, _ = values.shape
    found = np.zeros((num_studies, num_trials, num_trials))
    step = max(1, _AT_ONCE // (num_studies * num_trials))
    for start in range(0, num_trials, step):
        rows, columns = slice(start, start + step), slice(start, None)
        means, own, counts = _multiply_pairs(values, rows, columns)
        own *= 1 / np.maximum(counts, 1) + overlap
        prior = squares[:, None, None] * least.seeds[rows, columns]
        variances = np.maximum(own, prior, out=prior)
        variances += least.images[rows, columns]
        with np.errstate(divide="ignore", invalid="ignore"):
            np.divide(means**2, variances, out=found[:, rows, columns])
    return found.reshape(num_studies, -1)
