"""Two trials side by side: how far apart, and how sure."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medzoo.report.aggregate import harmonic_mean_by_seed
from medzoo.report.intervals import (
    harmonic_weights,
    interval_half_width,
    shared_image_variance,
)
from medzoo.report.sign_flips import sign_flip_test


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
