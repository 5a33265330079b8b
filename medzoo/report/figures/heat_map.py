"""The score of every trial over the values of two axes."""

from typing import TYPE_CHECKING

import numpy as np

from medzoo.report.figures.style import (
    add_panel,
    add_titles,
    make_figure,
    shorten,
    text_width,
    widen,
)
from medzoo.report.grid import Grid
from medzoo.study.spec import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDE, _TALL, _TOP = 0.75, 0.36, 0.75


def draw_heat_map(study: Study, grid: Grid) -> "Figure":
    """Draws a row a value of the first axis, a column one of the second.

    Args:
        study: Gives the name and the axes.
        grid: Scores by the values of both.
    """
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
    axis.set_xlabel(study.axis_names[1].replace("_", " "), fontsize=9)
    axis.set_ylabel(study.axis_names[0].replace("_", " "), fontsize=9)
    synthetic = ", SYNTHETIC data" * (study.data == "synthetic")
    add_titles(
        figure, f"{study.name}: both axes{synthetic}", f"{grid.score} on test"
    )
    return figure
