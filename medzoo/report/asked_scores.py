"""Estimates of the scores that a study asks for beside its own."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medzoo.report.results import TrialResults
from medzoo.report.statistics import Estimate, estimate_all
from medzoo.report.tables import Cell, Table
from medzoo.scores.table import SCORES, format_score
from medzoo.store import Reader

# Bootstraps that are held at once, of 16 kB each.
_MOST_CELLS = 10_000


@dataclass(frozen=True)
class AskedScore:
    """One score of one trial on test.

    Args:
        mean: Over tasks, of the seeds with every task.
        by_task: Of the seeds that have the task.
    """

    mean: Estimate | None
    by_task: dict[str, Estimate | None]


def estimate_asked(
    names: Iterable[str], results: Sequence[TrialResults], store: Reader
) -> dict[str, dict[str, AskedScore]]:
    """Estimates scores of all trials, over seeds and test images.

    Args:
        names: Of the table of scores.
        results: The trials of the study, at least one.
        store: Holds the predictions of their runs, and keeps the bootstraps.

    Returns:
        By score, then by trial.
    """
    names = list(names)
    num_cells = sum(len(trial.seeds) * len(trial.tasks) for trial in results)
    step = max(1, _MOST_CELLS // max(num_cells, 1))
    found = {}
    for start in range(0, len(names), step):
        some = names[start : start + step]
        # The scores of a run are made from its predictions at one go.
        drawn = [trial.read_many_replicates(store, some) for trial in results]
        for name in some:
            replicates = np.stack([each[name] for each in drawn], axis=1)
            found[name] = _estimate(name, results, replicates)
    return found


def _estimate(
    name: str, results: Sequence[TrialResults], drawn: np.ndarray
) -> dict[str, AskedScore]:
    values = np.stack([trial.matrix(name) for trial in results])
    given = np.array([trial.num_given for trial in results])
    overlap = max(trial.overlap for trial in results)
    bounds = SCORES[name].bounds
    estimate = functools.partial(
        estimate_all, given=given, overlap=overlap, bounds=bounds
    )
    means = estimate(values.mean(axis=2), drawn.mean(axis=3))
    by_task = [
        estimate(values[:, :, at], drawn[..., at])
        for at in range(len(results[0].tasks))
    ]
    return {
        trial.trial.name: AskedScore(
            means[at],
            {
                task: found[at]
                for task, found in zip(trial.tasks, by_task, strict=True)
            },
        )
        for at, trial in enumerate(results)
    }


def make_scores(
    found: dict[str, dict[str, AskedScore]], results: Sequence[TrialResults]
) -> Table:
    """Makes a row for each trial, task and score that is asked for."""
    rows: list[list[Cell]] = [
        [
            trial.trial.name,
            task,
            name,
            found[name][trial.trial.name].by_task[task],
        ]
        for trial in results
        for task in trial.tasks
        for name in found
    ]
    return Table(("trial", "task", "score", "value"), rows)


def label_asked(name: str) -> str:
    """Names the column of a score, with an arrow where lower is better."""
    arrow = "" if SCORES[name].higher_is_better else " (lower is better)"
    return f"{format_score(name)}{arrow}"
