"""Bars of a score in figures: dots for seeds, a mean, an interval."""

import math
from typing import NamedTuple

import numpy as np

from medzoo.report.results import TrialResults
from medzoo.report.statistics import Estimate, harmonic_mean_by_seed
from medzoo.report.summary import StudyStatistics

# The key of the score over all tasks, beside the names of the tasks.
OVERALL = "harmonic mean"


class Bar(NamedTuple):
    """One score of one trial.

    Args:
        values: By seed, shape `(num_seeds,)`; NaN where unknown.
        mean: Point estimate; NaN where unknown.
        low: Lower end of the bar; NaN if there is none.
        high: Upper end of the bar.
    """

    values: np.ndarray
    mean: float
    low: float
    high: float


def make_bars(
    trial: TrialResults, statistics: StudyStatistics
) -> dict[str, Bar]:
    """Makes the bars of a trial's score: the harmonic mean, then task by task.

    A bar is the 95 % interval; in a study without any, for want of stored
    predictions, it is one standard deviation over seeds to each side. A study
    of one task has no harmonic mean.
    """
    scores = trial.matrix(trial.score)
    found = statistics.trials[trial.trial.name]
    sure = has_intervals(statistics)
    bars = {
        task: _make(column, found.by_task[task], sure)
        for task, column in zip(trial.tasks, scores.T, strict=True)
    }
    if len(bars) == 1:
        return bars
    by_seed = harmonic_mean_by_seed(scores)
    return {OVERALL: _make(by_seed, found.harmonic_mean, sure)} | bars


def has_intervals(statistics: StudyStatistics) -> bool:
    """Whether a study has any interval."""
    return any(
        estimate is not None and estimate.low is not None
        for trial in statistics.trials.values()
        for estimate in trial.by_task.values()
    )


def describe_bars(statistics: StudyStatistics) -> str:
    """Words what the bars are.

    Example:

    >>> from medzoo.report.summary import summarise_scores
    >>> from medzoo.report.comparisons import TrialScores
    >>> trial = TrialScores("a", np.ones((2, 1)), np.full((9, 2, 1), np.nan))
    >>> describe_bars(summarise_scores([trial], ["breastmnist"]))
    'one standard deviation over seeds to each side'
    """
    if not has_intervals(statistics):
        return "one standard deviation over seeds to each side"
    several = "seeds and " * (statistics.num_seeds > 1)
    return f"95 % interval over {several}test images"


def _make(values: np.ndarray, estimate: Estimate | None, sure: bool) -> Bar:
    if estimate is None:
        return Bar(values, math.nan, math.nan, math.nan)
    mean, low, high = estimate.mean, estimate.low, estimate.high
    if not sure and estimate.std is not None:
        low, high = mean - estimate.std, mean + estimate.std
    if low is None or high is None:
        low = high = math.nan
    return Bar(values, mean, low, high)
