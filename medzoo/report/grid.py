"""The score of each trial over the values of two axes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from medzoo.report.figures.bars import make_bars
from medzoo.report.results import TrialResults
from medzoo.report.summary import StudyStatistics
from medzoo.scores.table import format_score
from medzoo.study.spec import Study


class Grid(NamedTuple):
    """Scores by the values of two axes.

    Args:
        score: What the values are.
        rows: Values of the first axis, in the order of the study.
        columns: Values of the second.
        values: Shape `(num_rows, num_columns)`; NaN where there is no trial,
            or no score of it.
    """

    score: str
    rows: list[str]
    columns: list[str]
    values: np.ndarray


def make_grid(
    study: Study,
    results: Sequence[TrialResults],
    statistics: StudyStatistics,
) -> Grid | None:
    """Lays out the trials of a study of two axes; `None` for any other.

    Args:
        study: Gives the axes.
        results: The trials in any order.
        statistics: Their estimates.
    """
    if len(study.axis_names) != 2:
        return None
    keys = [
        tuple(str(trial.values.get(name)) for name in study.axis_names)
        for trial in study.trials
    ]
    rows, columns = (
        list(dict.fromkeys(key[axis] for key in keys)) for axis in (0, 1)
    )
    if len(set(keys)) < len(keys) or min(len(rows), len(columns)) < 2:
        return None
    values = np.full((len(rows), len(columns)), np.nan)
    for trial in results:
        row, column = keys[study.trials.index(trial.trial)]
        score, bar = next(iter(make_bars(trial, statistics).items()))
        values[rows.index(row), columns.index(column)] = bar.mean
    name = format_score(study.score)
    if len(study.tasks) > 1:
        name = f"{score} of {name}"
    return Grid(name, rows, columns, values)
