"""Differences between trials: to the baseline with intervals, and all pairs."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medzoo.report.comparisons import Difference, Verdict
from medzoo.report.evidence import Evidence
from medzoo.report.figures.style import (
    COLOURS,
    GRID,
    NOTE,
    SEED,
    add_panel,
    add_titles,
    describe_picked,
    make_figure,
    name_figure,
    pick_trials,
    shorten,
    text_width,
    widen,
)
from medzoo.report.verdict import format_p
from medzoo.scores.table import format_score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
_WIDE, _ROW, _CELL, _FLAT, _TOP, _BOTTOM = 4.6, 0.24, 0.46, 0.28, 0.75, 0.55
_LONGEST_NAME = 36
_NARROW = 5.0
_MOST_TRIALS = 40
# Trials beyond which the cells of a matrix have no room for their numbers.
_MOST_NUMBERS = 14
_SMALLEST_SPAN = 0.05
COLOUR_OF: dict[Verdict, str] = {
    "better": COLOURS[0],
    "worse": COLOURS[1],
    "equal": COLOURS[2],
    "undecided": SEED,
}


class Differences(NamedTuple):
    """Differences of the trials to one, and those of all pairs.

    Args:
        reference: The trial that verdicts are about.
        to_reference: Of each other trial, the highest score first.
        names: Trials of the matrix, the highest score first.
        pairs: By row and column: the row minus the column.
    """

    reference: str
    to_reference: dict[str, Difference]
    names: list[str]
    pairs: list[list[Difference | None]]


def find_differences(evidence: Evidence) -> Differences | None:
    """Finds what can be drawn; `None` where no difference has an interval.

    Nothing is concluded of a smoke run, nor on the way.
    """
    statistics = evidence.statistics
    shown = [t.trial.name for t in pick_trials(evidence, _MOST_TRIALS)]
    to_reference = {
        name: found
        for name in shown
        if name != statistics.reference
        if (found := statistics.to_reference(name)) and found.low is not None
    }
    if not evidence.is_concluded or not to_reference:
        return None
    names = [n for n in shown if statistics.trials[n].to_others]
    pairs = [
        [statistics.trials[row].to_others.get(column) for column in names]
        for row in names
    ]
    return Differences(str(statistics.reference), to_reference, names, pairs)


def describe_intervals(evidence: Evidence, found: Differences) -> str:
    """Words what the bars of differences are."""
    thin = any(d.simultaneous for d in found.to_reference.values())
    told = "thick: 95 % interval" + "; thin: 95 % for all at once" * thin
    margin = evidence.statistics.equal_within
    band = "" if margin is None else f"; band: equal within {margin:g}"
    return f"{told}{band}"


def name_difference(evidence: Evidence, reference: str) -> str:
    """Names the differences to a trial."""
    mean = "harmonic mean of " * (len(evidence.results[0].tasks) > 1)
    score = format_score(evidence.study.score)
    return f"{mean}{score} minus that of {reference}"


def draw_differences(
    evidence: Evidence, found: Differences, *, width: float | None = None
) -> "Figure":
    """Draws a row a trial: its difference, its intervals and the verdict.

    Args:
        evidence: The trials.
        found: Their differences.
        width: Of the figure in inches; that of the screen if left out. A narrow
            one has p-values without the verdicts, and short names.
    """
    rows = found.to_reference
    narrow = width is not None and width < _NARROW
    names = [shorten(name, 20 if narrow else _LONGEST_NAME) for name in rows]
    told = [_word(difference, short=narrow) for difference in rows.values()]
    left, right = 0.25 + text_width(names), 0.2 + text_width(told)
    wide = _WIDE if width is None else max(1.0, width - left - right)
    tall = _ROW * (len(rows) + 0.5)
    figure = make_figure(left + wide + right, _TOP + tall + _BOTTOM)
    axis = add_panel(figure, left, _TOP, wide, tall)
    axis.set_ylim(len(rows) - 0.25, -0.75)
    axis.set_yticks(range(len(rows)), names)
    margin = evidence.statistics.equal_within
    if margin is not None:
        axis.axvspan(-margin, margin, color=GRID, alpha=0.6, zorder=0)
    axis.axvline(0, color=NOTE, linewidth=0.8, zorder=1)
    for at, difference in enumerate(rows.values()):
        _draw_row(axis, at, difference)
    across = axis.get_yaxis_transform()
    for at, text in enumerate(told):
        axis.text(1.02, at, text, size=8.5, va="center", transform=across)
    if narrow:
        axis.locator_params(axis="x", nbins=4)
    axis.set_xlim(*widen(*axis.get_xlim(), _SMALLEST_SPAN))
    axis.grid(color=GRID, linewidth=0.8, axis="x")
    label = name_difference(evidence, found.reference)
    if narrow:
        label = f"difference to {found.reference}"
    axis.set_xlabel(shorten(label, 72), fontsize=8.5)
    add_titles(
        figure,
        name_figure(evidence, f"differences to {found.reference}"),
        describe_intervals(evidence, found),
    )
    return figure


def _draw_row(axis: "Axes", at: int, found: Difference) -> None:
    colour = COLOUR_OF[found.verdict]
    if found.simultaneous:
        axis.hlines(at, *found.simultaneous, color=colour, linewidth=1)
    if found.low is not None and found.high is not None:
        axis.hlines(
            at, found.low, found.high, color=colour, alpha=0.5, linewidth=4
        )
    axis.plot(found.estimate, at, "D", color=colour, ms=5)


def _word(found: Difference, *, short: bool) -> str:
    """Writes the verdict, and its p-value if there is one."""
    if found.p_corrected is None:
        return found.verdict
    if short:
        return format_p(found.p_corrected)
    return f"{found.verdict}, {format_p(found.p_corrected)}"


def draw_pairs(evidence: Evidence, found: Differences) -> "Figure":
    """Draws a matrix: the row minus the column, in colour where it is decided.

    A trial is one row, and the column of the same number.
    """
    count = len(found.names)
    names = [
        f"{shorten(name, _LONGEST_NAME)}  {number}"
        for number, name in enumerate(found.names, start=1)
    ]
    cell = _CELL if count <= _MOST_NUMBERS else 0.2
    left, wide = 0.25 + text_width(names), cell * count
    tall = min(cell, _FLAT) * count
    figure = make_figure(max(6.2, left + wide + 0.3), _TOP + tall + 0.4)
    axis = add_panel(figure, left, _TOP + 0.2, wide, tall)
    shades = np.ones((count, count, 4))
    for (row, column), difference in _list_cells(found):
        shades[row, column] = _shade(difference)
        if count <= _MOST_NUMBERS:
            axis.text(
                column,
                row,
                f"{difference.estimate:+.2f}",
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if _is_decided(difference) else NOTE,
            )
    axis.imshow(shades, aspect="auto")
    axis.set_yticks(range(count), names)
    axis.set_xticks(range(count), [str(n) for n in range(1, count + 1)])
    axis.xaxis.tick_top()
    picked = describe_picked(evidence, pick_trials(evidence, _MOST_TRIALS))
    add_titles(
        figure,
        name_figure(evidence, "all pairs, the row minus the column"),
        f"{picked}; blue: better, orange: worse, green: equal; "
        "corrected over all pairs",
    )
    return figure


def _list_cells(found: Differences) -> list[tuple[tuple[int, int], Difference]]:
    return [
        ((row, column), difference)
        for row, line in enumerate(found.pairs)
        for column, difference in enumerate(line)
        if difference is not None
    ]


def _is_decided(found: Difference) -> bool:
    return found.verdict != "undecided"


def _shade(found: Difference) -> tuple[float, ...]:
    from matplotlib.colors import to_rgba

    if _is_decided(found):
        return to_rgba(COLOUR_OF[found.verdict])
    return to_rgba(GRID, 0.5)
