"""The score of every trial over the values of two axes."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medzoo.report.evidence import Evidence
from medzoo.report.figures.bars import make_bars
from medzoo.report.figures.style import (
    add_panel,
    add_titles,
    make_figure,
    name_figure,
    plain,
    shorten,
    text_width,
    widen,
)
from medzoo.scores.table import format_score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDE, _TALL, _TOP = 0.75, 0.36, 0.75


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


def make_grid(evidence: Evidence) -> Grid | None:
    """Lays out the trials of a study of two axes; `None` for any other."""
    study = evidence.study
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
    for trial in evidence.results:
        row, column = keys[study.trials.index(trial.trial)]
        score, bar = next(iter(make_bars(trial, evidence.statistics).items()))
        values[rows.index(row), columns.index(column)] = bar.mean
    name = format_score(study.score)
    if len(study.tasks) > 1:
        name = f"{score} of {name}"
    return Grid(name, rows, columns, values)


def draw_heat_map(evidence: Evidence, grid: Grid) -> "Figure":
    """Draws a row a value of the first axis, a column one of the second."""
    axes = [name.replace("_", " ") for name in evidence.study.axis_names]
    rows = [shorten(name, 24) for name in grid.rows]
    columns = [shorten(name, 24) for name in grid.columns]
    left = 0.45 + text_width(rows)
    wide = max(_WIDE, text_width(columns) + 0.1)
    size = wide * len(columns), _TALL * len(rows)
    figure = make_figure(max(5.0, left + size[0] + 0.2), _TOP + size[1] + 0.6)
    axis = add_panel(figure, left, _TOP, *size)
    low, high = widen(np.nanmin(grid.values), np.nanmax(grid.values), 0.02)
    axis.imshow(grid.values, cmap="cividis", aspect="auto", vmin=low, vmax=high)
    for (row, column), value in np.ndenumerate(grid.values):
        if not np.isnan(value):
            dark = value < (low + high) / 2
            axis.text(
                column,
                row,
                f"{value:.3f}",
                ha="center",
                va="center",
                fontsize=8.5,
                color="white" if dark else "black",
            )
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_xlabel(plain(axes[1]), fontsize=9)
    axis.set_ylabel(plain(axes[0]), fontsize=9)
    title = name_figure(evidence, "both axes")
    add_titles(figure, title, f"{grid.score} on test")
    return figure
