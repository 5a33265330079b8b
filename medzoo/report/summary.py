"""What the records of a study allow one to say, trial by trial, in numbers.

Everything comes from the matrix of one score on test of each trial (macro F1
unless a study names another), by seed and task, and from its bootstraps over
test images. A number that cannot be had is `None`: a missing run empties what
it belongs to, and never shifts it.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np

from medzoo.report.comparisons import (
    Comparisons,
    Difference,
    Friedman,
    TrialScores,
    friedman,
)
from medzoo.report.inference import find_unsteady, luck_of_best
from medzoo.report.looks import Looks
from medzoo.report.power import Plan
from medzoo.report.results import TrialResults
from medzoo.report.statistics import (
    Bounds,
    Estimate,
    cut,
    estimate_all,
    harmonic_mean_by_seed,
    has_no_inverse,
    invert,
)
from medzoo.scores.table import SCORES
from medzoo.store import Reader


@dataclass(frozen=True)
class TrialStatistics:
    """The statistics of one trial, of its score on test.

    Args:
        harmonic_mean: Over tasks; `None` if a run is missing. The interval of
            the best of more than three trials is shifted down by the luck that
            made it the best; of one task those of `mean` and `by_task` too.
        mean: Mean over tasks of the seeds with every task.
        by_task: Of the seeds that have the task.
        difference: To the baseline, corrected over the other trials; `None` for
            the baseline itself, and if either misses a run.
        to_others: To each other trial, corrected over all pairs of trials, as
            whoever reads them picks pairs by the same numbers.
        num_seeds: Seeds that it is judged by.
        diverged: Seeds of which a run diverged.
        unsteady: Whether its seeds spread over three times the others'.
    """

    harmonic_mean: Estimate | None
    mean: Estimate | None
    by_task: dict[str, Estimate | None]
    difference: Difference | None = None
    to_others: dict[str, Difference] = dataclasses.field(default_factory=dict)
    num_seeds: int = 0
    diverged: int = 0
    unsteady: bool = False


@dataclass(frozen=True)
class StudyStatistics:
    """The statistics of a study.

    Args:
        trials: By name, in the order given.
        baseline: Name of the trial that `difference` refers to.
        best: Name of the complete trial with the highest harmonic mean, then
            the highest mean; `None` if no trial is complete.
        num_seeds: Most runs of a trial on a task.
        num_tasks: Tasks of the study.
        friedman: Over the complete trials; `None` where it can say nothing.
        score: Name of the score that all of it is about.
        equal_within: Half the width of the band of equality, if there is one.
        plan: What further seeds would show; `None` if predictions are missing.
        looks: The looks at the study, if seeds are added until it is decided.
    """

    trials: dict[str, TrialStatistics]
    baseline: str | None
    best: str | None
    num_seeds: int
    num_tasks: int
    friedman: Friedman | None
    score: str = "macro_f1"
    equal_within: float | None = None
    plan: Plan | None = None
    looks: Looks | None = None

    @functools.cached_property
    def complete(self) -> list[str]:
        """Names of the trials that have every run."""
        return [n for n, t in self.trials.items() if t.harmonic_mean]

    @functools.cached_property
    def reference(self) -> str | None:
        """Name of the trial that verdicts are about: the baseline, else the
        best, or the one that the last look compared the others to."""
        if self.baseline in self.complete:
            return self.baseline
        done = self.looks.done if self.looks else []
        compared = [look.reference for look in done if look.p]
        return compared[-1] if compared else self.best

    def to_reference(self, name: str) -> Difference | None:
        """Returns what verdicts say of a trial, in numbers.

        The baseline was named before there were scores, so that only the
        comparisons to it count; the best was picked by them, so that all pairs
        do.
        """
        trial = self.trials[name]
        if name == self.reference:
            return None
        if self.reference == self.baseline:
            return trial.difference
        look = self.looks.find_last(name) if self.looks else None
        other = look.reference if look else self.reference
        return trial.to_others.get(other or "")

    @property
    def unsteady(self) -> list[str]:
        """Names of the trials that spread much further than the others."""
        return [name for name, t in self.trials.items() if t.unsteady]

    @property
    def tied(self) -> list[str]:
        """Names of the trials that were tested, and not found to be worse than
        the best.

        A baseline that the best is better than is none of them, though the
        test of all pairs, which corrects for more, may leave it undecided.
        """
        if self.best is None:
            return []
        others = self.trials[self.best].to_others
        tested = {n: d for n, d in others.items() if d.p is not None}
        planned = self.to_reference(self.best)
        if planned is not None and planned.verdict == "better":
            tested.pop(planned.other, None)
        return [n for n, d in tested.items() if d.verdict != "better"]


class _Stored:
    """Bootstraps of a trial that are read, a task at a time, when asked for."""

    def __init__(self, trial: TrialResults, store: Reader) -> None:
        self._trial, self._store = trial, store

    def __getitem__(self, key: tuple[EllipsisType, int]) -> np.ndarray:
        task = self._trial.tasks[key[1]]
        return self._trial.read_replicates(self._store, [task])[..., 0]


def summarise(
    results: Sequence[TrialResults],
    store: Reader,
    baseline: str | None = None,
    *,
    equal_within: float | None = None,
) -> StudyStatistics:
    """Computes the statistics of a study from its records.

    Args:
        results: The trials of the study, at least one.
        store: Holds the predictions of their runs, and keeps the bootstraps.
        baseline: Name of the trial to compare the others to.
        equal_within: Half the width of the band of equality.
    """
    scores = [
        TrialScores(
            trial.trial.name,
            trial.matrix(trial.score),
            _Stored(trial, store),
            trial.diverged,
            trial.num_given,
        )
        for trial in results
    ]
    return summarise_scores(
        scores,
        results[0].tasks,
        baseline,
        score=results[0].score,
        equal_within=equal_within,
        overlap=max(trial.overlap for trial in results),
        looks=results[0].looks,
    )


def summarise_scores(
    scores: Sequence[TrialScores],
    tasks: Sequence[str],
    baseline: str | None = None,
    *,
    score: str = "macro_f1",
    equal_within: float | None = None,
    overlap: float = 0.0,
    looks: Looks | None = None,
) -> StudyStatistics:
    """Computes the statistics of a study from scores.

    Args:
        scores: Of each trial, with the same seeds and tasks.
        tasks: Names of the columns.
        baseline: Name of the trial to compare the others to.
        score: Name of the scores.
        equal_within: Half the width of the band of equality.
        overlap: As of `medzoo.report.inference.compare_pairs`.
        looks: The looks at the study; its verdicts are theirs.
    """
    complete = [trial for trial in scores if trial.complete]
    best = max(complete, key=_goodness, default=None)
    trials, drawn = _estimate(scores, tasks, overlap, score)
    num_seeds, num_tasks = scores[0].matrix.shape
    found = StudyStatistics(
        trials=trials,
        baseline=baseline,
        best=best.name if best else None,
        num_seeds=num_seeds,
        num_tasks=num_tasks,
        friedman=friedman({t.name: t.given.mean(axis=0) for t in complete}),
        score=score,
        equal_within=equal_within,
        looks=looks,
    )
    if best is None:
        return found
    at = [place for place, trial in enumerate(scores) if trial.complete]
    compared = Comparisons(
        complete,
        drawn if len(at) == len(scores) else np.ascontiguousarray(drawn[:, at]),
        margin=equal_within,
        overlap=overlap,
        looks=looks,
        bounds=SCORES[score].bounds,
    )
    return dataclasses.replace(
        found,
        trials=_compare(found, compared),
        plan=compared.plan(
            found.reference or best.name, all_pairs=found.baseline is None
        ),
    )


def _goodness(trial: TrialScores) -> tuple[float, float]:
    by_seed = harmonic_mean_by_seed(trial.given)
    return float(by_seed.mean()), float(trial.given.mean())


def _estimate(
    scores: Sequence[TrialScores],
    tasks: Sequence[str],
    overlap: float,
    score: str,
) -> tuple[dict[str, TrialStatistics], np.ndarray]:
    """Estimates the scores of each trial by itself.

    Returns:
        Them by trial, and the bootstraps of harmonic means over tasks.
    """
    matrices = np.stack([trial.matrix for trial in scores])
    given = np.array([len(trial.given) for trial in scores])
    bounds = SCORES[score].bounds
    estimate = functools.partial(
        estimate_all, given=given, overlap=overlap, bounds=bounds
    )
    by_task, sums = {}, _Sums(len(tasks))
    for at, task in enumerate(tasks):
        replicates = _stack(scores, at)
        by_task[task] = estimate(matrices[:, :, at], replicates)
        sums.add(replicates)
        del replicates
    means = estimate(matrices.mean(axis=2), sums.pop_means())
    drawn = sums.pop_harmonic_means()
    harmonic = estimate(harmonic_mean_by_seed(matrices), drawn)
    found = {
        trial.name: TrialStatistics(
            harmonic_mean=harmonic[at] if trial.complete else None,
            mean=means[at],
            by_task={task: found[at] for task, found in by_task.items()},
            num_seeds=len(trial.given),
            diverged=trial.diverged,
        )
        for at, trial in enumerate(scores)
    }
    return found, drawn


class _Sums:
    """Sums over tasks of bootstraps, which are read once, task by task.

    Each is as large as the bootstraps of a task, and there may be room for
    little more.
    """

    def __init__(self, num_tasks: int) -> None:
        self._num_tasks = num_tasks
        self._values: Any = 0.0
        self._inverses: Any = 0.0
        self._is_zero: Any = False

    def add(self, replicates: np.ndarray) -> None:
        """Adds the bootstraps of a task, whose array is used up."""
        self._values += replicates
        no_inverse = has_no_inverse(replicates, self._num_tasks)
        self._is_zero |= no_inverse
        np.copyto(replicates, 1.0, where=no_inverse)
        self._inverses += np.divide(1.0, replicates, out=replicates)

    def pop_means(self) -> np.ndarray:
        """Returns the means over tasks, and keeps them no longer."""
        means, self._values = self._values, 0.0
        means /= self._num_tasks
        return means

    def pop_harmonic_means(self) -> np.ndarray:
        """Returns what `harmonic_mean_by_seed` does, and keeps no sums."""
        inverses, self._inverses = self._inverses, 0.0
        inverses /= self._num_tasks
        return invert(inverses, self._is_zero)


def _stack(scores: Sequence[TrialScores], task: int) -> np.ndarray:
    """Lays out the bootstraps of one task, shape `(..., trials, seeds)`."""
    parts = (trial.replicates[..., task] for trial in scores)
    first = next(parts)
    found = np.empty((len(first), len(scores), first.shape[1]))
    for at, part in enumerate(itertools.chain([first], parts)):
        found[:, at] = part
    return found


def _compare(
    statistics: StudyStatistics, compared: Comparisons
) -> dict[str, TrialStatistics]:
    """Adds what trials are beside each other."""
    pairs = compared.of_all_pairs()
    baseline = statistics.baseline
    differences = compared.to(baseline) if baseline in compared.names else {}
    unsteady = dict(
        zip(compared.names, find_unsteady(compared.values), strict=True)
    )
    trials = {
        name: dataclasses.replace(
            trial,
            difference=differences.get(name),
            to_others=pairs.get(name, {}),
            unsteady=bool(unsteady.get(name, False)),
        )
        for name, trial in statistics.trials.items()
    }
    luck = float(luck_of_best(compared.values, compared.images))
    if statistics.best is not None and luck > 0:
        bounds = SCORES[statistics.score].bounds
        best = trials[statistics.best]
        shifted = _shift(best.harmonic_mean, luck, bounds)
        best = dataclasses.replace(best, harmonic_mean=shifted)
        if statistics.num_tasks == 1:  # All three are of one column.
            best = dataclasses.replace(
                best,
                mean=_shift(best.mean, luck, bounds),
                by_task={
                    task: _shift(found, luck, bounds)
                    for task, found in best.by_task.items()
                },
            )
        trials[statistics.best] = best
    return trials


def _shift(
    estimate: Estimate | None, luck: float, bounds: Bounds
) -> Estimate | None:
    """Moves an interval down, but not the mean that was seen."""
    if estimate is None or estimate.half_width is None:
        return estimate
    middle = estimate.mean - luck
    half = estimate.half_width
    low, high = cut(middle - half, middle + half, bounds)
    return dataclasses.replace(estimate, low=low, high=high, shifted=True)
