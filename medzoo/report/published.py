"""Published figures beside the best trials of a study."""

import csv
import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medzoo.report.evidence import Evidence
from medzoo.report.results import TrialResults
from medzoo.report.statistics import Spread, over_seeds
from medzoo.report.tables import Cell, Table
from medzoo.scores.probabilities import harmonic_mean
from medzoo.tasks import NAMES

SCORES = ("macro_f1", "auc", "accuracy", "ece")
ALL = "all"  # The task of a figure of all 11 tasks together.
# Trials of a study that stand above published figures.
_MOST_TRIALS = 5


class Published(NamedTuple):
    """One published figure, of the test split.

    Args:
        system: Who, or what, reached it.
        task: Name of a task, or `all`.
        score: `macro_f1`, `auc`, `accuracy`, `ece` or `harmonic_mean`; or
            `balanced_error` and `corrupted_balanced_error`, which tables of
            corruptions show.
        value: From 0 to 1.
        source: Where it is published.
    """

    system: str
    task: str
    score: str
    value: float
    source: str


@functools.cache
def read_published() -> tuple[Published, ...]:
    """Reads the published figures, in the order of `published.csv`.

    Example:

    >>> read_published()[0].task
    'pathmnist'
    """
    path = Path(__file__).with_name("published.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            Published(system, task, score, float(value), source)
            for system, task, score, value, source in csv.reader(file)
            if value != "value"
        )


def set_beside(evidence: Evidence) -> Table:
    """Sets the best trials of a study beside published figures, task by task.

    They were put in order by the very test split, as on a leaderboard, so that
    the row of the first is a little too good. Scores that the study has not,
    such as those that it would have to ask for, are left out.

    Returns:
        For each score a row for each of the first five trials that have it, and
        one for each system that has a figure for any of the tasks, with a
        column a task. `harmonic_mean` is
        that of the macro F1 of these tasks: as published where they are all
        11, else taken from the row, and empty where the row has gaps.

    Raises:
        ValueError: If the study is of other data than the official ones.
    """
    if evidence.study.data != "medmnist":
        raise ValueError(
            "Published figures are of the official data of MedMNIST. Expected "
            "a study of these, or a second study to compare with. Received: "
            f"{evidence.title}, of {evidence.study.data}."
        )
    tasks = evidence.best.tasks
    rows: list[list[Cell]] = []
    for score in SCORES:
        systems = _find(score, tasks)
        ours = [t for t in evidence.results if _has(t, score)][:_MOST_TRIALS]
        if systems and ours:
            rows += (_make_our_row(score, evidence, trial) for trial in ours)
            rows += (_make_row(score, row, tasks) for row in systems)
    columns = ("score", "system", *tasks, "harmonic_mean", "source")
    return Table(columns, rows)


def _has(trial: TrialResults, score: str) -> bool:
    return bool(np.isfinite(trial.matrix(score)).any())


def _find(score: str, tasks: Sequence[str]) -> list[dict[str, Published]]:
    """Lists for each system what it has of a score, by task."""
    systems: dict[str, dict[str, Published]] = {}
    for figure in read_published():
        if figure.score == score and figure.task in tasks:
            systems.setdefault(figure.system, {})[figure.task] = figure
        overall = figure.score == "harmonic_mean" and score == "macro_f1"
        if overall and set(tasks) == set(NAMES):
            systems.setdefault(figure.system, {})[ALL] = figure
    return list(systems.values())


def _make_our_row(
    score: str, evidence: Evidence, trial: TrialResults
) -> list[Cell]:
    name, tasks = trial.trial.name, trial.tasks
    cells: list[Cell] = [*map(over_seeds, trial.matrix(score).T), None]
    if score == "macro_f1":
        found = evidence.statistics.trials[name]
        cells = [*(found.by_task[task] for task in tasks), found.harmonic_mean]
    elif score in evidence.asked:
        by_task = evidence.asked[score][name].by_task
        cells = [*(by_task[task] for task in tasks), None]
    asked = len(trial.seeds)
    scored = int((~np.isnan(trial.matrix(score))).any(axis=1).sum())
    seeds = asked if scored == asked else f"{scored} of {asked}"
    source = f"here, {seeds} seeds"
    return [score, f"{evidence.study.name}: {name}", *cells, source]


def _make_row(
    score: str, figures: dict[str, Published], tasks: Sequence[str]
) -> list[Cell]:
    values = [figures[t].value if t in figures else None for t in tasks]
    mean = harmonic_mean(values) if score == "macro_f1" else None
    if ALL in figures:
        mean = figures[ALL].value
    any_figure = next(iter(figures.values()))
    sources = dict.fromkeys(figure.source for figure in figures.values())
    # Published figures have no deviation over seeds that is known here.
    cells = (
        None if v is None else Spread(v, math.nan) for v in (*values, mean)
    )
    return [score, any_figure.system, *cells, "; ".join(sources)]
