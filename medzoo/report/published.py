"""Published figures beside the best trial of a study."""

import csv
import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medzoo.report.evidence import Evidence
from medzoo.report.statistics import Spread, over_seeds
from medzoo.report.tables import Cell, Table
from medzoo.scores.probabilities import harmonic_mean
from medzoo.tasks import NAMES

SCORES = ("macro_f1", "auc", "accuracy", "ece")
ALL = "all"  # The task of a figure of all 11 tasks together.


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
    """Sets the best trial of a study beside published figures, task by task.

    The best trial was chosen among its siblings on the very test split, as a
    leaderboard does, so its row is a little too good. Scores that it has not,
    such as those that its study would have to ask for, are left out.

    Returns:
        For each score a row for the study and one for each system that has a
        figure for any of its tasks, with a column a task. `harmonic_mean` is
        that of the macro F1 of these tasks: as published where they are all
        11, else taken from the row, and empty where the row has gaps.
    """
    best = evidence.best
    rows: list[list[Cell]] = []
    for score in SCORES:
        systems = _find(score, best.tasks)
        if systems and np.isfinite(best.matrix(score)).any():
            rows.append(_make_our_row(score, evidence))
            rows += (_make_row(score, row, best.tasks) for row in systems)
    columns = ("score", "system", *best.tasks, "harmonic_mean", "source")
    return Table(columns, rows)


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


def _make_our_row(score: str, evidence: Evidence) -> list[Cell]:
    best, study = evidence.best, evidence.study
    name = best.trial.name
    cells: list[Cell] = [*map(over_seeds, best.matrix(score).T), None]
    if score == "macro_f1":
        found = evidence.statistics.trials[name]
        cells = [*(found.by_task[t] for t in best.tasks), found.harmonic_mean]
    elif score in evidence.asked:
        asked = evidence.asked[score][name]
        cells = [*(asked.by_task[task] for task in best.tasks), None]
    return [
        score,
        f"{study.name}: {name}",
        *cells,
        f"here, seeds: {len(best.seeds)}, best of {len(study.trials)}",
    ]


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
