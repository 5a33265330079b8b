"""Where the best trial errs: confusion and F1 class by class."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medzoo.report.confusions import Confusion
from medzoo.report.evidence import Evidence
from medzoo.report.figures.style import (
    GRID,
    MEAN,
    MOST_MARKS,
    SEED,
    add_panel,
    add_titles,
    make_figure,
    name_figure,
    plain,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
_CELL, _LEFT, _F1, _TOP, _GAP = 0.34, 2.05, 1.1, 0.75, 0.35
_LONGEST_NAME = 23


def draw_classes(
    evidence: Evidence, confusions: Sequence[Confusion]
) -> "Figure":
    """Draws for each task the confusion matrix, and beside it F1 by class.

    Args:
        evidence: The trials, the best first.
        confusions: Those of the best; at least one.
    """
    lines = [confusions[at : at + 2] for at in range(0, len(confusions), 2)]
    wide = [
        max(map(_side, confusions[column::2])) + _LEFT + _F1 + _GAP
        for column in range(len(lines[0]))
    ]
    tall = [max(map(_side, line)) + 1.05 for line in lines]
    figure = make_figure(max(7.0, sum(wide)), _TOP + sum(tall))
    for row, line in enumerate(lines):
        for column, found in enumerate(line):
            x = sum(wide[:column]) + _LEFT
            _draw_task(figure, found, x, _TOP + sum(tall[:row]) + 0.25)
    what = "classes of " + "the best, " * (not evidence.smoke)
    seeds = f"{len(confusions[0].f1)} seeds"
    add_titles(
        figure,
        name_figure(evidence, f"{what}{evidence.best.trial.name}"),
        f"test split, shares of each true class in %, summed over {seeds}; "
        "F1: a dot a seed, a bar their mean",
    )
    return figure


def _side(found: Confusion) -> float:
    return len(found.classes) * _CELL


def _draw_task(figure: "Figure", found: Confusion, x: float, y: float) -> None:
    """Draws one task with the corner of its matrix at `x`, `y`."""
    side = _side(found)
    at = range(len(found.classes))
    names = [
        str(label)
        if name == str(label)
        else f"{shorten(name, _LONGEST_NAME)}  {label}"
        for label, name in enumerate(found.classes)
    ]
    matrix = add_panel(figure, x, y, side, side)
    _draw_matrix(matrix, found.counts)
    matrix.set_yticks(at, names)
    # Names would not fit below: columns go by the labels.
    matrix.set_xticks(at, [str(label) for label in at])
    matrix.set_xlabel("predicted class", fontsize=8.5)
    matrix.set_title(plain(found.task), fontsize=10, loc="left")
    scores = add_panel(figure, x + side + 0.15, y, _F1, side)
    scores.barh(at, found.f1.mean(axis=0), color=MEAN, alpha=0.35, height=0.7)
    rows = np.tile(np.arange(len(names)), len(found.f1))
    scores.plot(
        found.f1.ravel(),
        rows,
        "o",
        color=SEED,
        ms=3,
        mew=0,
        clip_on=False,
        rasterized=rows.size > MOST_MARKS,
    )
    scores.set_ylim(len(names) - 0.5, -0.5)
    scores.set_xlim(0, 1)
    scores.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    scores.set_yticks([])
    scores.grid(color=GRID, linewidth=0.8, axis="x")
    scores.set_xlabel("F1", fontsize=8.5)


def _draw_matrix(axis: "Axes", counts: np.ndarray) -> None:
    """Draws shares of the rows; a class without images has none."""
    sums = counts.sum(axis=1, keepdims=True)
    shares = np.divide(
        counts, sums, out=np.full(counts.shape, np.nan), where=sums > 0
    )
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if not math.isnan(share) and share >= 0.005:
            axis.text(
                column,
                row,
                f"{100 * share:.0f}",
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if share > 0.6 else "black",
            )
