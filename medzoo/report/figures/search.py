"""The figures of a search: its best so far, and all candidates at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medzoo.report.figures.style import (
    COLOURS,
    GRID,
    MEAN,
    NOTE,
    SEED,
    add_panel,
    add_titles,
    make_figure,
    plain,
    shorten,
)
from medzoo.report.search_tables import encode, place, rank_tried
from medzoo.scores.table import format_score
from medzoo.search.candidates import Tried
from medzoo.search.search_file import Search
from medzoo.search.space import Dimension

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Candidates whose lines stand out.
_FRONT = 3


def draw_best_so_far(search: Search, tried: Sequence[Tried]) -> "Figure":
    """Draws each candidate's score, and the best one up to there."""
    from matplotlib.ticker import MaxNLocator

    figure = make_figure(6.4, 3.6)
    add_titles(
        figure,
        f"{search.name}: the best candidate so far",
        f"{format_score(search.document.score)} on val; a dot is a candidate"
        f"{_harmonic(search)}, the line is the best up to there",
    )
    axis = add_panel(figure, 0.65, 0.75, 5.5, 2.3)
    scored = [(t.number, t.score) for t in tried if t.score is not None]
    numbers, scores = zip(*scored, strict=True)
    best = np.maximum.accumulate(scores)
    axis.grid(axis="y", color=GRID)
    axis.scatter(numbers, scores, s=16, color=SEED, zorder=3)
    axis.step(numbers, best, where="post", color=MEAN, lw=1.8, zorder=4)
    for each in tried:
        if each.score is None:
            axis.axvline(each.number, color=COLOURS[1], lw=0.8, ls=":")
    axis.set_xlim(0.5, max(t.number for t in tried) + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("candidate", size=9, color=NOTE)
    return figure


def draw_parallel(search: Search, tried: Sequence[Tried]) -> "Figure":
    """Draws each candidate as a line through its value of every key."""
    space = search.document.space
    goal = format_score(search.document.score)
    width = 1.15 * (len(space) + 1) + 0.9
    figure = make_figure(max(6.4, width), 3.9)
    add_titles(
        figure,
        f"{search.name}: all candidates",
        f"a line is a candidate, the best {_FRONT} in blue; the last axis is "
        f"{goal} on val; below an axis: does not count",
    )
    axis = add_panel(figure, 0.5, 1.0, max(6.4, width) - 1.2, 2.75)
    ranked = [each for each in rank_tried(tried) if each.score is not None]
    scores = np.array([each.score for each in ranked], dtype="float64")
    low, high = scores.min(), scores.max()
    ends = (scores - low) / (high - low) if high > low else scores * 0 + 0.5
    positions = np.arange(len(space) + 1)
    for index in reversed(range(len(ranked))):
        front = index < _FRONT
        axis.plot(
            positions,
            [*encode(space, ranked[index]), ends[index]],
            color=MEAN if front else SEED,
            alpha=0.95 if front else 0.35,
            lw=1.8 if front else 0.9,
            zorder=3 if front else 2,
        )
    for position, (name, dimension) in enumerate(space.items()):
        _label(axis, position, name, _marks(dimension))
    found = [(f"{low:.3f}", 0.0), (f"{high:.3f}", 1.0)]
    _label(axis, len(space), f"val {goal}", found)
    axis.set_xlim(-0.2, len(space) + 0.6)
    axis.set_ylim(-0.25, 1.08)
    axis.set_axis_off()
    return figure


def _marks(dimension: Dimension) -> list[tuple[str, float]]:
    """Lists what to write beside an axis, and where."""
    return [
        (f"{value:g}" if isinstance(value, float) else str(value), where)
        for value in dimension.probes()
        for where in [place(dimension, value)]
    ]


def _label(
    axis: "Axes", position: int, name: str, marks: list[tuple[str, float]]
) -> None:
    axis.axvline(position, 0.25 / 1.33, 1.25 / 1.33, color=NOTE, lw=0.8)
    axis.text(position, 1.06, plain(name), size=8.5, ha="center", va="bottom")
    box = {"fc": "white", "ec": "none", "alpha": 0.7, "pad": 0.8}
    for text, where in marks:
        axis.text(
            position + 0.04,
            where,
            shorten(text, 14),
            size=7,
            va="center",
            color=NOTE,
            bbox=box,
            zorder=5,
        )


def _harmonic(search: Search) -> str:
    """Says of what the score is a mean, where it is one."""
    tasks, seeds = len(search.document.tasks), len(search.document.seeds)
    parts = [f"mean of {seeds} seeds"] if seeds > 1 else []
    parts += [f"harmonic mean of {tasks} tasks"] if tasks > 1 else []
    return f" ({', '.join(parts)})" if parts else ""
