"""Trials ranked anew on every task: Friedman's test and Nemenyi's distance."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

_NUM_PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Friedman:
    """Average ranks over tasks, and which of them can be told apart.

    Args:
        average_ranks: By trial, 1 is best; the best first.
        num_tasks: How many tasks are averaged.
        p: Of Friedman's test that all trials are equally good.
        smallest_p: What that test could reach at best.
        critical_difference: Two trials whose average ranks are nearer than this
            cannot be told apart.
        groups: Largest sets of such trials, in the order of their ranks.
    """

    average_ranks: dict[str, float]
    num_tasks: int
    p: float
    smallest_p: float
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]


def friedman(scores: dict[str, np.ndarray]) -> Friedman | None:
    """Tests whether trials differ over tasks, and which.

    The tasks count as a sample of tasks like them, which the other statistics
    here do not ask for. Every task orders the trials, a tie shares its ranks.
    The statistic is the sum of squared rank sums, which orders outcomes as
    Friedman's does; its p-value is the share of 9,999 shuffles of the ranks
    inside the tasks that reach it, so it holds for few tasks. The critical
    difference is `q sqrt(k (k + 1) / (6 N))` for k trials, N tasks and `q` the
    95 % point of the studentised range by the square root of 2.

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
    ranks = stats.rankdata(-table, axis=1)
    num_tasks, num_trials = ranks.shape
    means = dict(zip(scores, ranks.mean(axis=0).tolist(), strict=True))
    means = dict(sorted(means.items(), key=lambda item: item[1]))
    range_ = stats.studentized_range.ppf(0.95, num_trials, np.inf)
    distance = float(range_) * math.sqrt(
        num_trials * (num_trials + 1) / (12 * num_tasks)
    )
    log_orders = (num_tasks - 1) * math.lgamma(num_trials + 1)
    smallest = max(math.exp(-log_orders), 1 / (_NUM_PERMUTATIONS + 1))
    return Friedman(
        average_ranks=means,
        num_tasks=num_tasks,
        p=max(_shuffle(ranks), smallest),
        smallest_p=smallest,
        critical_difference=distance,
        groups=_group(means, distance),
    )


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
