"""Score against cost: parameters and train time, with the Pareto front."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medzoo.report.evidence import Evidence
from medzoo.report.figures.bars import Bar, describe_bars, make_bars
from medzoo.report.figures.style import (
    BASELINE,
    FRONT,
    GRID,
    MEAN,
    add_panel,
    add_titles,
    count_columns,
    make_figure,
    name_figure,
    place_labels,
    widen,
)
from medzoo.report.results import TrialResults
from medzoo.scores.table import format_score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COSTS = {
    "parameters": "parameters",
    "train_seconds": "train time of a run (s)",
}
_WIDTH, _HEIGHT, _LEFT, _TOP = 5.2, 3.2, 0.7, 0.75
_SMALLEST_SPAN = 0.05


def find_pareto_front(costs: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Finds what nothing beats in both cost and score.

    Args:
        costs: Shape `(n,)`, the lower the better.
        scores: Shape `(n,)`, the higher the better.

    Returns:
        Shape `(n,)`, whether nothing is at least as good in both and better
        in one. NaN is never on the front and beats nothing.

    Example:

    >>> costs, scores = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.4, 0.6])
    >>> find_pareto_front(costs, scores)
    array([ True, False,  True])
    """
    cheaper, better = costs[:, None] <= costs, scores[:, None] >= scores
    unequal = (costs[:, None] < costs) | (scores[:, None] > scores)
    beaten = (cheaper & better & unequal).any(axis=0)
    return ~beaten & ~np.isnan(costs + scores)


def differing_costs(results: Sequence[TrialResults]) -> list[str]:
    """Names the costs in which trials differ: others have nothing to show."""
    costs = [trial.costs for trial in results]
    known = {
        name: {c[name] for c in costs if not np.isnan(c[name])}
        for name in COSTS
    }
    return [name for name, values in known.items() if len(values) > 1]


def draw_costs(evidence: Evidence, *, width: float | None = None) -> "Figure":
    """Draws a panel for each cost in which the trials differ.

    Args:
        evidence: The trials and their statistics.
        width: Of the figure in inches; that of the screen if left out.
    """
    study, results = evidence.study, evidence.results
    statistics = evidence.statistics
    shown = differing_costs(results)
    columns, panel = len(shown), _WIDTH
    if width is not None:
        columns = count_columns(width - 0.2, 3.0, len(shown))
        panel = (width - 0.2) / columns - _LEFT
    rows, block = math.ceil(len(shown) / columns), _HEIGHT + 0.55
    figure = make_figure(
        max(width or 6.4, columns * (panel + _LEFT) + 0.2), _TOP + rows * block
    )
    score, *_ = make_bars(results[0], statistics)
    bars = [make_bars(trial, statistics)[score] for trial in results]
    overall = format_score(study.score)
    if len(study.tasks) > 1:
        overall = f"{score} of {overall}"
    for index, cost in enumerate(shown):
        row, column = divmod(index, columns)
        x, y = _LEFT + column * (panel + _LEFT), _TOP + row * block
        axis = add_panel(figure, x, y, panel, _HEIGHT)
        _draw_panel(axis, evidence, bars, cost)
        axis.set_ylabel(f"{overall} on test", fontsize=9)
    add_titles(
        figure,
        name_figure(evidence, "score and cost"),
        f"dashed: Pareto front; orange: baseline; "
        f"bar: {describe_bars(statistics)}",
    )
    return figure


def _draw_panel(
    axis: "Axes", evidence: Evidence, bars: Sequence[Bar], cost: str
) -> None:
    study, results = evidence.study, evidence.results
    x = np.array([trial.costs[cost] for trial in results])
    y = np.array([bar.mean for bar in bars])
    for at, bar, trial in zip(x, bars, results, strict=True):
        colour = BASELINE if trial.trial == study.baseline else MEAN
        axis.vlines(at, bar.low, bar.high, color=colour, alpha=0.35, lw=1.5)
        axis.plot(at, bar.mean, "o", color=colour, ms=6)
    front = find_pareto_front(x, y)
    order = np.argsort(x[front])
    axis.step(
        x[front][order],
        y[front][order],
        where="post",
        color=FRONT,
        linestyle=(0, (4, 3)),
        linewidth=1,
        zorder=1,
    )
    axis.set_xscale("log")
    low, high = axis.get_xlim()
    # Some room for names.
    room = (high / low) ** 0.12
    axis.set_xlim(low / room, high * room)
    axis.set_ylim(*widen(*axis.get_ylim(), _SMALLEST_SPAN))
    _name_ticks(axis)
    together = ", all nets together" * results[0].in_all
    axis.set_xlabel(COSTS[cost] + together, fontsize=9)
    axis.grid(color=GRID, linewidth=0.8)
    names = [trial.trial.name for trial in results]
    place_labels(axis, x, y, names, first=front)


def _name_ticks(axis: "Axes") -> None:
    """Writes out the numbers of a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_xlim()
    steps: tuple[float, ...]
    steps = (1, 1.5, 2, 3, 4, 5, 7) if high / low < 8 else (1, 2, 5)
    if high / low > 200:
        steps = (1,)
    axis.xaxis.set_major_locator(LogLocator(subs=steps))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: _short(v)))
    axis.xaxis.set_minor_locator(NullLocator())


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
