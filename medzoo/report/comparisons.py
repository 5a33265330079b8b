"""Comparisons of trials: differences, permutation tests and ranks."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

from medzoo.report.statistics import (
    harmonic_mean_by_seed,
    harmonic_weights,
    interval_half_width,
    shared_image_variance,
)


@dataclass(frozen=True)
class TrialScores:
    """Macro F1 of one trial on test.

    Args:
        name: Of the trial.
        matrix: Shape `(num_seeds, num_tasks)`; NaN for a missing run.
        replicates: Its bootstraps over test images, shape
            `(num_replicates, num_seeds, num_tasks)`; NaN where there is none.
    """

    name: str
    matrix: np.ndarray
    replicates: np.ndarray

    @property
    def complete(self) -> bool:
        """Says whether every run has a score."""
        return not np.isnan(self.matrix).any()


@dataclass(frozen=True)
class Difference:
    """The harmonic mean of one trial minus that of another, seed by seed.

    Args:
        other: Name of the trial that is subtracted.
        estimate: The difference.
        low: Lower end of its 95 % interval, which covers what that of an
            `Estimate` covers; `None` if predictions are missing.
        high: Upper end.
        p: Of `sign_flip_test`.
        p_holm: The same, corrected for the number of comparisons.
        smallest_p: What the test could reach with that many runs at best.
        probability_of_improvement: See the function of that name.
    """

    other: str
    estimate: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    smallest_p: float
    probability_of_improvement: float

    @property
    def is_decided(self) -> bool:
        """Says whether interval and corrected test both exclude equality."""
        if self.low is None or self.high is None or self.p_holm is None:
            return False
        return self.p_holm <= 0.05 and (self.low > 0 or self.high < 0)


def compare(trial: TrialScores, other: TrialScores) -> Difference | None:
    """Compares the harmonic means of two trials, paired by seed and task.

    Both harmonic means are replaced by one sum over tasks with the weights of
    `harmonic_weights` half-way between the trials. These do not change when a
    pair of runs changes sides, so the test is exact for the sum.

    Returns:
        `None` if a run of either trial is missing; no interval and no p-value
        if predictions are missing, or a task has no slope (its score is 0).
    """
    if not (trial.complete and other.complete):
        return None
    middle = (trial.matrix + other.matrix).mean(axis=0) / 2
    weights = harmonic_weights(middle)
    parts = weights * (trial.matrix - other.matrix)
    replicates = weights * (trial.replicates - other.replicates)
    estimate = float(
        harmonic_mean_by_seed(trial.matrix).mean()
        - harmonic_mean_by_seed(other.matrix).mean()
    )
    half = interval_half_width(parts, replicates)
    test = sign_flip_test(parts, shared_image_variance(replicates))
    return Difference(
        other=other.name,
        estimate=estimate,
        low=None if half is None else max(-1.0, estimate - half),
        high=None if half is None else min(1.0, estimate + half),
        p=None if half is None else test.p,
        p_holm=None,
        smallest_p=test.smallest_p,
        probability_of_improvement=probability_of_improvement(
            trial.matrix, other.matrix
        ),
    )


def compare_all(
    trials: Sequence[TrialScores],
    other: TrialScores,
    *,
    family: int | None = None,
) -> dict[str, Difference | None]:
    """Compares trials to one, with Holm's correction over all of them.

    Args:
        trials: Those to compare; `other` is left out if it is among them.
        other: What they are compared to.
        family: Number of comparisons to correct for; those that are made here
            if left out.
    """
    found = {
        trial.name: compare(trial, other)
        for trial in trials
        if trial.name != other.name
    }
    tested = {n: d for n, d in found.items() if d and d.p is not None}
    corrected = holm([d.p for d in tested.values() if d.p is not None], family)
    for (name, difference), p in zip(tested.items(), corrected, strict=True):
        found[name] = dataclasses.replace(difference, p_holm=p)
    return found


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


def probability_of_improvement(trial: np.ndarray, other: np.ndarray) -> float:
    """Returns the chance that a run of one trial beats a run of another.

    For a task it is the share of all pairs of seeds, not only equal ones, in
    which the first has the higher score, a tie counting half (the U of Mann and
    Whitney by the number of pairs); then the mean over tasks.

    Args:
        trial: Scores, shape `(num_seeds, num_tasks)`, none missing.
        other: The same of the other trial.

    Example:

    >>> probability_of_improvement(np.array([[0.5], [0.7]]), np.array([[0.5]]))
    0.75

    Reference:
        [Agarwal et al., 2021](https://arxiv.org/abs/2108.13264).
    """
    signs = np.sign(trial[:, None] - other[None, :])
    return float((1 + signs.mean()) / 2)


# Every pattern of signs of up to 17 runs is tried, beyond that as many at
# random.
_NUM_PATTERNS = 2**16


class SignFlips(NamedTuple):
    """The p-value of a test, and the smallest that its runs could reach."""

    p: float
    smallest_p: float


def sign_flip_test(
    differences: np.ndarray, image_variance: np.ndarray
) -> SignFlips:
    """Tests whether two trials are equally good.

    If they are, either could have given either score of a pair, so each
    difference might as well have the other sign. The two-sided p-value is the
    share of all patterns of signs whose sum is at least as far from 0 as the
    observed one; the first sign is held, as turning all of them changes
    nothing. All patterns are tried for up to 17 pairs, else 65,536 of a fixed
    random seed with the observed one among them.

    That alone would take luck with the test images for skill, as all seeds of a
    task share it. So the flipped sums get a normal error with the variance that
    flipping the seeds one by one has averaged away, `image_variance
    (1 - 1 / num_seeds)`, and the larger of both p-values counts. In simulation
    5 % of equal pairs at most get a p-value of 0.05 or less, whatever the share
    of the images; with few runs or a large share it is nearer to 1 %.

    Args:
        differences: Of two trials, by seed and task, times the weights of the
            tasks, shape `(num_seeds, num_tasks)`.
        image_variance: Of the differences, by task, as
            `shared_image_variance` has it, shape `(num_tasks,)`.

    Example:

    >>> sign_flip_test(np.full((3, 2), 0.1), np.zeros(2))
    SignFlips(p=0.03125, smallest_p=0.03125)

    Reference:
        [Fisher, 1935](https://doi.org/10.1093/oso/9780198522294.002.0003);
        [Phipson and Smyth, 2010](https://doi.org/10.2202/1544-6115.1585).
    """
    num_seeds = len(differences)
    # Sorted, so that random patterns do not depend on the order of the rows.
    values = np.sort(differences, axis=None) / num_seeds
    signs = _patterns(len(values))
    observed = abs(values.sum()) - 1e-9 * np.abs(values).sum()
    sums = np.abs(signs @ values)
    p = (sums >= observed).mean()
    error = np.sqrt(image_variance.sum() * (1 - 1 / num_seeds))
    if error > 0:
        above = special.ndtr((sums - observed) / error)
        below = special.ndtr((-sums - observed) / error)
        p = max(p, (above + below).mean())
    return SignFlips(float(min(p, 1)), 1 / len(signs))


@lru_cache(maxsize=2)
def _patterns(num_pairs: int) -> np.ndarray:
    """Returns rows of signs, the first row and the first column all 1."""
    free = num_pairs - 1
    if 2**free <= _NUM_PATTERNS:
        bits = np.arange(2**free)[:, None] >> np.arange(free) & 1
    else:
        bits = np.random.default_rng(0).integers(2, size=(_NUM_PATTERNS, free))
        bits[0] = 0
    return np.pad(1.0 - 2.0 * bits, ((0, 0), (1, 0)), constant_values=1.0)


_NUM_PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Friedman:
    """Average ranks over tasks, and which of them can be told apart.

    Args:
        average_ranks: By trial, 1 is best; the best first.
        num_tasks: How many tasks are averaged.
        p: Of Friedman's test that all trials are equally good.
        smallest_p: What that test could reach at best.
    """

    average_ranks: dict[str, float]
    num_tasks: int
    p: float
    smallest_p: float

    @functools.cached_property
    def critical_difference(self) -> float:
        """Average ranks that are nearer than this cannot be told apart.

        It is `q sqrt(k (k + 1) / (6 N))` for k trials, N tasks and `q` the 95 %
        point of the studentised range by the square root of 2.
        """
        num_trials = len(self.average_ranks)
        return normal_range(num_trials) * math.sqrt(
            num_trials * (num_trials + 1) / (12 * self.num_tasks)
        )

    @functools.cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Largest sets of trials that are so near, in the order of ranks."""
        return _group(self.average_ranks, self.critical_difference)


def friedman(scores: dict[str, np.ndarray]) -> Friedman | None:
    """Tests whether trials differ over tasks, and which.

    The tasks count as a sample of tasks like them, which the other statistics
    here do not ask for. Every task orders the trials, a tie shares its ranks.
    The statistic is the sum of squared rank sums, which orders outcomes as
    Friedman's does; its p-value is the share of 9,999 shuffles of the ranks
    inside the tasks that reach it, so it holds for few tasks.

    Args:
        scores: Mean over seeds by task of each trial, shape `(num_tasks,)`.

    Returns:
        `None` for fewer than three trials or two tasks.

    Example:

    >>> rows = np.array([[0.9, 0.8], [0.7, 0.6], [0.5, 0.4]])
    >>> friedman(dict(zip("abc", rows, strict=True))).average_ranks
    {'a': 1.0, 'b': 2.0, 'c': 3.0}

    Reference:
        [Demsar, 2006](https://www.jmlr.org/papers/v7/demsar06a.html).
    """
    if len(scores) < 3 or len(next(iter(scores.values()))) < 2:
        return None
    table = np.stack(list(scores.values()), axis=1)
    ranks = _rank(table)
    num_tasks, num_trials = ranks.shape
    means = dict(zip(scores, ranks.mean(axis=0).tolist(), strict=True))
    means = dict(sorted(means.items(), key=lambda item: item[1]))
    log_orders = (num_tasks - 1) * math.lgamma(num_trials + 1)
    smallest = max(math.exp(-log_orders), 1 / (_NUM_PERMUTATIONS + 1))
    return Friedman(
        average_ranks=means,
        num_tasks=num_tasks,
        p=max(_shuffle(ranks), smallest),
        smallest_p=smallest,
    )


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
    values, ranges = np.arange(-8, 8, 0.05), np.arange(1, 12, 0.005)
    inside = special.ndtr(values + ranges[:, None]) - special.ndtr(values)
    density = np.exp(-(values**2) / 2) / math.sqrt(2 * math.pi)
    below = number * 0.05 * (density * inside ** (number - 1)).sum(axis=1)
    return float(np.interp(0.95, below, ranges))


def _rank(table: np.ndarray) -> np.ndarray:
    """Ranks each row, the largest first; equal values share their mean rank."""
    better = (table[:, None, :] > table[:, :, None]).sum(axis=2)
    equal = (table[:, None, :] == table[:, :, None]).sum(axis=2)
    return better + (equal + 1) / 2


def _shuffle(ranks: np.ndarray) -> float:
    """Returns the p-value of rank sums, shape `(num_tasks, num_trials)`."""
    random = np.random.default_rng(0)
    sums = np.zeros((_NUM_PERMUTATIONS, ranks.shape[1]))
    # In a fixed order, whatever that of the tasks and trials is.
    for row in sorted(np.sort(ranks, axis=1).tolist()):
        sums += random.permuted(np.tile(row, (len(sums), 1)), axis=1)
    observed = (ranks.sum(axis=0) ** 2).sum()
    reached = ((sums**2).sum(axis=1) >= observed - 1e-9).sum()
    return float((reached + 1) / (len(sums) + 1))


def _group(
    means: dict[str, float], distance: float
) -> tuple[tuple[str, ...], ...]:
    """Finds the largest runs of neighbours nearer than `distance`."""
    names, values = list(means), np.array(list(means.values()))
    groups: list[tuple[str, ...]] = []
    end = 0
    for start, value in enumerate(values):
        stop = int(np.searchsorted(values, value + distance, side="left"))
        if stop > max(end, start + 1):
            groups.append(tuple(names[start:stop]))
        end = max(end, stop)
    return tuple(groups)
