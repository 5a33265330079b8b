"""Balanced errors on corrupted images against their severity."""

import math
from typing import TYPE_CHECKING

import numpy as np

from medzoo.report.curves import Curve
from medzoo.report.evidence import Evidence
from medzoo.report.figures.style import (
    COLOURS,
    GRID,
    add_legend,
    add_panel,
    add_titles,
    count_columns,
    describe_picked,
    make_figure,
    name_figure,
    pick_trials,
    plain,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches.
_PANEL, _TALL, _LEFT, _TOP = 2.4, 1.8, 0.65, 0.65
_BELOW, _MOST_COLUMNS = 0.85, 4


def pick_lines(evidence: Evidence) -> dict[str, dict[int, Curve]]:
    """Picks what figures show: errors by severity of the first trials.

    Returns:
        A curve a trial, by task and then by the place of the trial among those
        of `pick_trials`: from clean images at 0 to the highest severity, with a
        band from the lowest to the highest seed.
    """
    shown = [t.trial.name for t in pick_trials(evidence, len(COLOURS))]
    lines: dict[str, dict[int, Curve]] = {}
    for each in evidence.corrupted:
        if each.trial in shown:
            y = np.column_stack([each.clean, each.errors.mean(axis=1)])
            ends = y.mean(axis=0), y.min(axis=0), y.max(axis=0)
            curve = Curve(each.trial, np.arange(y.shape[1]), *ends)
            place = shown.index(each.trial)
            lines.setdefault(each.task, {})[place] = curve
    return lines


def draw_corruptions(
    evidence: Evidence, *, width: float | None = None
) -> "Figure":
    """Draws a panel a task, a line a trial, a band its seeds.

    Args:
        evidence: The trials and their errors.
        width: Of the figure in inches; that of the screen if left out.
    """
    panels = pick_lines(evidence)
    columns, panel = min(_MOST_COLUMNS, len(panels)), _PANEL
    if width is not None:
        columns = count_columns(width - _LEFT, 2.0, columns)
        panel = (width - _LEFT) / columns - 0.5
    shown = pick_trials(evidence, len(COLOURS))
    names = max(3, columns) if width is None else max(1, int(width / 1.7))
    rows = math.ceil(len(panels) / columns)
    figure = make_figure(
        max(width or 6.5, _LEFT + columns * (panel + 0.5)),
        _TOP + 0.3 + rows * (_TALL + _BELOW) + 0.2 * len(shown) / names,
    )
    for index, (task, curves) in enumerate(panels.items()):
        row, column = divmod(index, columns)
        x = _LEFT + column * (panel + 0.5)
        y = _TOP + 0.3 + row * (_TALL + _BELOW)
        axis = add_panel(figure, x, y, panel, _TALL)
        for number, curve in curves.items():
            name, colour = shorten(curve.name, 32), COLOURS[number]
            axis.plot(curve.x, curve.y, lw=1.4, label=name, color=colour)
            axis.fill_between(
                curve.x,
                curve.low,
                curve.high,
                color=colour,
                alpha=0.12,
                linewidth=0,
            )
        axis.set_ylim(bottom=0)
        axis.set_xticks(range(6), ["clean", *"12345"])
        axis.set_title(plain(task), fontsize=10)
        axis.set_xlabel("severity", fontsize=9)
        axis.grid(color=GRID, linewidth=0.8)
        if column == 0:
            axis.set_ylabel("balanced error", fontsize=9)
    add_titles(
        figure,
        name_figure(evidence, "corrupted images"),
        f"{describe_picked(evidence, shown)}; line: mean over kinds and seeds, "
        "band: lowest to highest seed",
    )
    most = max(figure.axes, key=lambda axis: len(axis.lines))
    add_legend(figure, most, names)
    return figure
