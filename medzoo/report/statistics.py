"""One number, its spread over seeds and its interval, from a score matrix."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medzoo.report.inference import estimate_trials, image_covariance

# Lowest and highest value of a score; `None` for no bound.
Bounds = tuple[float | None, float | None]


class Spread(NamedTuple):
    """Mean and sample standard deviation over seeds; NaN where unknown."""

    mean: float
    std: float


@dataclass(frozen=True)
class Estimate:
    """A score of one trial, its spread over seeds and its 95 % interval.

    Args:
        mean: Over the seeds.
        std: Over the seeds, `n - 1` in the denominator; `None` for one seed.
        low: Lower end of the interval, not below the bound of the score, such
            as 0; `None` if a run or its predictions are missing.
        high: Upper end, not above the bound. The interval of a trial that was
            picked for its score lies lower than around the mean.
        half_width: Of the interval before it is cut at the bounds.
        covers: What may vary: `seeds and test images`, or `test images` alone
            when there is one seed.
        shifted: Whether the interval lies lower than around the mean.
    """

    mean: float
    std: float | None = None
    low: float | None = None
    high: float | None = None
    half_width: float | None = None
    covers: str | None = None
    shifted: bool = False

    @property
    def ends(self) -> tuple[float, float] | None:
        """Ends of an interval that does not lie around the mean."""
        if not self.shifted or self.low is None or self.high is None:
            return None
        return self.low, self.high


def over_seeds(values: np.ndarray) -> Spread:
    """Averages over the seeds that have a value.

    Args:
        values: Shape `(num_seeds,)`; NaN for a seed without a value.

    Returns:
        The mean, and the standard deviation with `n - 1` in the denominator,
        which a single seed does not have.

    Example:

    >>> over_seeds(np.array([0.25, 0.75, np.nan])).mean
    0.5
    """
    known = values[~np.isnan(values)]
    return Spread(
        float(known.mean()) if len(known) else math.nan,
        float(known.std(ddof=1)) if len(known) > 1 else math.nan,
    )


def estimate_over_seeds(values: np.ndarray, overlap: float = 0.0) -> "Estimate":
    """Estimates a score with its interval by the t distribution, over seeds.

    Args:
        values: Shape `(num_seeds,)`, from 0 to 1.
        overlap: As of `medzoo.report.inference.compare_pairs`.
    """
    from scipy import stats

    mean, std = over_seeds(values)
    if math.isnan(std):
        return Estimate(mean)
    quantile = float(stats.t.ppf(0.975, len(values) - 1))
    half = quantile * std * math.sqrt(1 / len(values) + overlap)
    low, high = cut(mean - half, mean + half, (0.0, 1.0))
    return Estimate(mean, std, low, high, half, "seeds")


def mean_over_tasks(matrix: np.ndarray) -> Spread:
    """Averages the tasks of each seed, then the seeds with every task.

    Args:
        matrix: Scores, shape `(num_seeds, num_tasks)`; NaN for a missing run.
    """
    return over_seeds(matrix.mean(axis=1))


def harmonic_mean_by_seed(matrix: np.ndarray) -> np.ndarray:
    """Takes the harmonic mean of the tasks of each seed.

    Args:
        matrix: Scores of 1 at most, shape `(..., num_tasks)`, such as
            `(num_seeds, num_tasks)`; NaN for a missing run.

    Returns:
        Shape `(...)`; 0 if one of several tasks has 0 or less, NaN for a seed
        with a missing run.

    Example:

    >>> harmonic_mean_by_seed(np.array([[0.5, 1.0], [0.0, 1.0]])).round(3)
    array([0.667, 0.   ])
    """
    no_inverse = has_no_inverse(matrix, matrix.shape[-1])
    inverse = (1 / np.where(no_inverse, 1.0, matrix)).mean(axis=-1)
    return invert(inverse, no_inverse.any(axis=-1))


def has_no_inverse(values: np.ndarray, num_tasks: int) -> np.ndarray:
    """Says which scores a harmonic mean over tasks has no inverse of."""
    return values <= 0 if num_tasks > 1 else values == 0


def invert(inverse: np.ndarray, has_zero: np.ndarray | np.bool) -> np.ndarray:
    """Turns the mean of inverses into a harmonic mean: 0 if a task has 0."""
    zero = has_zero & ~np.isnan(inverse)
    return np.where(zero, 0.0, 1 / inverse)


def harmonic_mean_over_tasks(matrix: np.ndarray) -> Spread:
    """Takes the harmonic mean of the tasks of each seed, then averages.

    Args:
        matrix: Scores in `[0, 1]`, shape `(num_seeds, num_tasks)`; NaN for a
            missing run.

    Returns:
        NaN for both if any run is missing: a trial is not ranked by the runs
        that happened to finish. A seed with a score of 0 counts as 0.

    Example:

    >>> found = harmonic_mean_over_tasks(np.array([[0.5, 1.0], [0.5, 1.0]]))
    >>> round(found.mean, 3), found.std
    (0.667, 0.0)
    """
    by_seed = harmonic_mean_by_seed(matrix)
    if np.isnan(by_seed).any():
        return Spread(math.nan, math.nan)
    return over_seeds(by_seed)


def covariance_of_images(
    replicates: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Returns `image_covariance`, NaN for trials without bootstraps.

    A draw that has no score, as of images without any foreground, is left out
    for all trials.

    Args:
        replicates: Shape `(num_replicates, num_trials, num_seeds)`; NaN where
            there is none.
        known: Which runs have a score, shape `(num_trials, num_seeds)`.
    """
    blank = np.isnan(replicates)
    drawn = known.any(axis=1) & ~(blank.all(axis=0) & known).any(axis=1)
    found = np.full((replicates.shape[1],) * 2, np.nan)
    whole = ~(blank & known)[:, drawn].any(axis=(1, 2))
    if whole.sum() > 1:
        # Copies of all of them take long, and may not fit into memory.
        kept = replicates
        if not known.all():
            kept = np.where(known, replicates, np.nan)
        kept = _pick(kept if whole.all() else kept[whole], drawn)
        found[np.ix_(drawn, drawn)] = image_covariance(kept)
    return found


def _pick(replicates: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Picks trials, without a copy where all are."""
    return replicates if trials.all() else replicates[:, trials]


def estimate_all(
    values: np.ndarray,
    replicates: np.ndarray,
    *,
    given: np.ndarray | None = None,
    overlap: float = 0.0,
    bounds: Bounds = (0.0, 1.0),
) -> list[Estimate | None]:
    """Estimates one score of each trial, with the others' spread as a prior.

    Args:
        values: Shape `(num_trials, num_seeds)`; NaN for a missing run. A trial
            that misses one has a mean of its others, but no interval.
        replicates: Bootstraps over test images, shape `(num_replicates,
            num_trials, num_seeds)`.
        given: How many of the seeds each trial is given; all if left out.
        overlap: As of `medzoo.report.inference.compare_pairs`.
        bounds: Of the score.

    Returns:
        `None` for a trial without any run.
    """
    num_seeds = values.shape[1]
    given = np.full(len(values), num_seeds) if given is None else given
    asked = np.arange(num_seeds) < given[:, None]
    whole = ~(np.isnan(values) & asked).any(axis=1)
    halves = np.full(len(values), np.nan)
    if whole.any():
        kept = np.where(asked, values, np.nan)[whole]
        drawn = _pick(replicates, whole)
        images = covariance_of_images(drawn, ~np.isnan(kept))
        sureness = estimate_trials(kept, images, overlap=overlap)
        halves[whole] = sureness.half_widths()
    rows = zip(values, halves.tolist(), strict=True)
    return [_make_estimate(row, half, bounds) for row, half in rows]


def cut(low: float, high: float, bounds: Bounds) -> tuple[float, float]:
    """Cuts an interval at the bounds of its score."""
    least = -math.inf if bounds[0] is None else bounds[0]
    most = math.inf if bounds[1] is None else bounds[1]
    return max(least, low), min(most, high)


def _make_estimate(
    values: np.ndarray, half: float, bounds: Bounds
) -> Estimate | None:
    mean, deviation = over_seeds(values)
    if math.isnan(mean):
        return None
    std = None if math.isnan(deviation) else deviation
    if math.isnan(half):
        return Estimate(mean, std)
    low, high = cut(mean - half, mean + half, bounds)
    return Estimate(
        mean,
        std,
        low=low,
        high=high,
        half_width=half,
        covers=("seeds and " * (not math.isnan(deviation))) + "test images",
    )
