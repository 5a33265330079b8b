"""The critical-difference diagram: average ranks over many tasks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medzoo.report.comparisons import Friedman
from medzoo.report.evidence import Evidence
from medzoo.report.figures.style import (
    MEAN,
    NOTE,
    add_panel,
    add_titles,
    make_figure,
    name_figure,
    shorten,
    text_width,
)
from medzoo.scores.table import format_score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _TOP, _SCALE = 0.22, 0.75, 4.5


def draw_critical_difference(evidence: Evidence, found: Friedman) -> "Figure":
    """Draws the diagram of Demsar.

    Args:
        evidence: Gives the name and the score.
        found: Average ranks of the trials, the best first.

    Reference:
        Demsar, 2006, Statistical comparisons of classifiers over multiple data
        sets, JMLR 7.
    """
    ranks = np.array(list(found.average_ranks.values()))
    labels = [
        f"{shorten(name, 36)}  ({rank:.2f})"
        for name, rank in found.average_ranks.items()
    ]
    side = text_width(labels) + 0.3
    half = (len(labels) + 1) // 2
    tall = 0.75 + 0.12 * len(found.groups) + _ROW * half
    figure = make_figure(max(6.0, 2 * side + _SCALE), _TOP + tall + 0.15)
    left = (figure.get_figwidth() - _SCALE) / 2
    axis = add_panel(figure, left, _TOP, _SCALE, tall)
    axis.set_axis_off()
    axis.set_xlim(1, len(labels))
    axis.set_ylim(tall, 0)
    _draw_scale(axis, len(labels), found.critical_difference)
    _draw_names(axis, labels, ranks, 0.75 + 0.12 * len(found.groups))
    for line, group in enumerate(found.groups):
        y = 0.62 + 0.12 * line
        ends = [found.average_ranks[name] for name in (group[0], group[-1])]
        axis.hlines(
            y, ends[0] - 0.04, ends[1] + 0.04, color=MEAN, linewidth=3.5
        )
    add_titles(
        figure,
        name_figure(
            evidence,
            f"average rank of {format_score(evidence.study.score)} over the "
            "tasks",
        ),
        "1 is best; trials joined by a bar cannot be told apart (Nemenyi, 5 %)",
    )
    return figure


def _draw_scale(axis: "Axes", count: int, critical_difference: float) -> None:
    """Draws the axis at 0.5 inches, the critical difference above it."""
    axis.hlines(0.5, 1, count, color="black", linewidth=1)
    for tick in range(1, count + 1):
        axis.vlines(tick, 0.45, 0.5, color="black", linewidth=1)
        axis.text(tick, 0.4, str(tick), ha="center", fontsize=8.5)
    end = 1 + critical_difference
    axis.plot([1, end], [0.12, 0.12], "|-", color=NOTE, ms=6, clip_on=False)
    text = f"critical difference {critical_difference:.2f}"
    axis.text(end, 0.16, f"  {text}", fontsize=8.5, color=NOTE)


def _draw_names(
    axis: "Axes", labels: Sequence[str], ranks: np.ndarray, top: float
) -> None:
    """Leads a line from each rank to its name: good ones left, others right."""
    count = len(labels)
    half = (count + 1) // 2
    for index, (label, rank) in enumerate(zip(labels, ranks, strict=True)):
        good = index < half
        y = top + _ROW * (index if good else count - 1 - index)
        end = 1 if good else count
        axis.plot([rank, rank, end], [0.5, y, y], color=NOTE, lw=0.8)
        text = f"{label} " if good else f" {label}"
        side = "right" if good else "left"
        axis.text(end, y, text, ha=side, va="center", fontsize=8.5)
