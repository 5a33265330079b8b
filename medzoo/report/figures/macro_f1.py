"""Macro F1 by task: a panel a task, a row a trial."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medzoo.report.evidence import Evidence
from medzoo.report.figures.bars import OVERALL, Bar, describe_bars, make_bars
from medzoo.report.figures.style import (
    BASELINE,
    GRID,
    MEAN,
    MOST_MARKS,
    SEED,
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
    text_width,
    widen,
)
from medzoo.scores.table import format_score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
_PANEL, _ROW, _GAP, _TITLE, _TOP, _BOTTOM = 2.1, 0.2, 0.2, 0.65, 0.5, 0.35
_COLUMNS = 4
_NARROWEST = 1.05
_LONGEST_NAME = 44
_MOST_TRIALS = 40
_SMALLEST_SPAN = 0.05


def draw_macro_f1(
    evidence: Evidence, *, width: float | None = None
) -> "Figure":
    """Draws the score of the study on test with its bars.

    Args:
        evidence: The trials and their statistics.
        width: Of the figure in inches; that of the screen if left out.
    """
    study, statistics = evidence.study, evidence.statistics
    shown = pick_trials(evidence, _MOST_TRIALS)
    trials = [trial.trial for trial in shown]
    baseline = trials.index(study.baseline) if study.baseline else None
    bars = [make_bars(trial, statistics) for trial in shown]
    longest = _LONGEST_NAME if width is None else round(5 * width)
    names = [shorten(trial.name, longest) for trial in trials]
    columns, panel = min(_COLUMNS, len(bars[0])), _PANEL
    left, tall = 0.25 + text_width(names), _ROW * (len(names) + 0.5)
    if width is not None:
        columns = count_columns(width - left, _NARROWEST + _GAP, columns)
        panel = max(_NARROWEST, (width - left) / columns - _GAP)
    rows = math.ceil(len(bars[0]) / columns)
    figure = make_figure(
        max(width or 5.0, left + columns * (panel + _GAP)),
        _TOP + rows * (_TITLE + tall) + _BOTTOM,
    )
    for index, key in enumerate(bars[0]):
        row, column = divmod(index, columns)
        x = left + column * (panel + _GAP)
        y = _TOP + row * (_TITLE + tall) + _TITLE / 2
        axis = add_panel(figure, x, y, panel, tall)
        axis.set_ylim(len(names) - 0.25, -0.75)
        axis.set_yticks(range(len(names)), [] if column else names)
        _draw_panel(axis, [trial[key] for trial in bars], baseline)
        weight = "bold" if key == OVERALL else "normal"
        axis.set_title(plain(key), fontsize=10, weight=weight)
    add_titles(
        figure,
        name_figure(evidence, f"{format_score(study.score)} on the test split"),
        f"{describe_picked(evidence, shown)}; each panel has its own scale; "
        f"bar: {describe_bars(statistics)}",
    )
    add_legend(figure, figure.axes[0], 4 if width is None else 3)
    return figure


def _draw_panel(
    axis: "Axes", bars: Sequence[Bar], baseline: int | None
) -> None:
    """Draws one score, a row a trial."""
    from matplotlib.ticker import MaxNLocator

    rows = np.arange(len(bars))
    means = np.array([bar.mean for bar in bars])
    seeds = np.stack([bar.values for bar in bars])
    axis.hlines(
        rows,
        [bar.low for bar in bars],
        [bar.high for bar in bars],
        color=MEAN,
        alpha=0.4,
        linewidth=3,
    )
    at = np.repeat(rows, seeds.shape[1])
    axis.plot(
        seeds.ravel(),
        at,
        "o",
        color=SEED,
        ms=3,
        mew=0,
        label="a seed",
        rasterized=at.size > MOST_MARKS,
    )
    axis.plot(means, rows, "D", color=MEAN, ms=5, label="mean over seeds")
    if baseline is not None:
        mean = means[baseline]
        axis.plot(mean, baseline, "D", color=BASELINE, ms=5, label="baseline")
        axis.axvline(mean, color=BASELINE, linewidth=0.8, zorder=1)
    if len(empty := rows[np.isnan(means)]):
        edge = np.full(len(empty), 0.03)
        across = axis.get_yaxis_transform()
        marks = axis.plot(edge, empty, "x", color=SEED, ms=4, transform=across)
        marks[0].set_label("runs are missing or failed")
    axis.set_xlim(*widen(*axis.get_xlim(), _SMALLEST_SPAN))
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.grid(color=GRID, linewidth=0.8)
