"""One number, and its spread over seeds, from a score matrix."""

import math
from typing import NamedTuple

import numpy as np

from medzoo.scores import harmonic_mean


class Spread(NamedTuple):
    """Mean and sample standard deviation over seeds; NaN where unknown."""

    mean: float
    std: float


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


def mean_over_tasks(matrix: np.ndarray) -> Spread:
    """Averages the tasks of each seed, then the seeds with every task.

    Args:
        matrix: Scores, shape `(num_seeds, num_tasks)`; NaN for a missing run.
    """
    return over_seeds(matrix.mean(axis=1))


def harmonic_mean_by_seed(matrix: np.ndarray) -> np.ndarray:
    """Takes the harmonic mean of the tasks of each seed.

    Args:
        matrix: Scores in `[0, 1]`, shape `(num_seeds, num_tasks)`; NaN for a
            missing run.

    Returns:
        Shape `(num_seeds,)`; NaN for a seed with a missing run.
    """
    return np.array([harmonic_mean(row) for row in matrix], dtype="float64")


def harmonic_mean_over_tasks(matrix: np.ndarray) -> Spread:
    """Takes the harmonic mean of the tasks of each seed, then averages.

    Args:
        matrix: Scores in `[0, 1]`, shape `(num_seeds, num_tasks)`; NaN for a
            missing run.

    Returns:
        NaN for both if any run is missing: a trial is not ranked by the runs
        that happened to finish. A seed with a score of 0 counts as 0.

    Example:

    >>> harmonic_mean_over_tasks(np.array([[0.5, 1.0], [0.5, 1.0]]))
    Spread(mean=0.6666666666666666, std=0.0)
    """
    by_seed = harmonic_mean_by_seed(matrix)
    if np.isnan(by_seed).any():
        return Spread(math.nan, math.nan)
    return over_seeds(by_seed)
