"""Trials ranked anew on every task: Friedman's test and Nemenyi's distance."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy import special

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
