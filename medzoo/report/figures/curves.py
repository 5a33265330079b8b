"""Learning curves: a score and the loss on val against epochs."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from medzoo.record import Record
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
from medzoo.report.heads import is_trained
from medzoo.report.results import TrialResults
from medzoo.scores.table import format_score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)))
# More curves in a panel cannot be distinguished.
_MOST_TRIALS = len(COLOURS)
_MOST_COLUMNS = 4
# Inches.
_PANEL, _TALL, _LEFT, _TOP, _TITLE, _NAMES = 2.4, 1.6, 0.65, 0.65, 0.3, 0.35


class Curve(NamedTuple):
    """One measure of several seeds against epochs; NaN where unknown."""

    epochs: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def over_seeds(records: Sequence[Record], measure: str) -> Curve:
    """Averages a measure over seeds, at each check that any of them has made.

    Args:
        records: Of the seeds of one trial on one task.
        measure: A key of their histories, such as `val_loss`. One of a head
            that no loss has trained is not known.

    Returns:
        Each of shape `(num_checks,)`: epochs, mean, lowest and highest seed.
    """
    found: dict[float, list[float]] = {}
    score = measure.removeprefix("val_")
    for record in records:
        for entry in record.history if is_trained(record.run, score) else ():
            value, epoch = entry.get(measure), entry.get("epoch")
            if value is not None and epoch is not None:
                found.setdefault(epoch, []).append(value)
    epochs = sorted(found)
    statistics = [
        (np.mean(found[e]), min(found[e]), max(found[e])) for e in epochs
    ]
    columns = np.array(statistics, dtype="float64").reshape(-1, 3).T
    return Curve(np.array(epochs), *columns)


def find_drawn(evidence: Evidence) -> str:
    """Names the score of learning curves: the study's own, where records have
    it by task at each check, else macro F1.
    """
    score = evidence.study.score
    is_known = any(
        entry.get(f"val_{score}") is not None
        for record in evidence.records
        if len(record.run.tasks) == 1
        for entry in record.history[:1]
    )
    return score if is_known else "macro_f1"


def draw_learning_curves(
    evidence: Evidence, *, width: float | None = None
) -> "Figure":
    """Draws a column of two panels a task, a line a trial, a band its seeds.

    Args:
        evidence: The trials and their records.
        width: Of the figure in inches; that of the screen if left out.
    """
    tasks, score = evidence.best.tasks, find_drawn(evidence)
    measures = {
        f"val_{score}": f"{format_score(score)} on val",
        "val_loss": "loss on val",
    }
    shown = pick_trials(evidence, _MOST_TRIALS)
    columns, panel = min(_MOST_COLUMNS, len(tasks)), _PANEL
    if width is not None:
        columns = count_columns(width - _LEFT, 2.0, columns)
        panel = (width - _LEFT) / columns - 0.5
    block = _TITLE + 2 * (_TALL + 0.15) + _NAMES
    blocks = math.ceil(len(tasks) / columns)
    names = max(3, columns) if width is None else max(1, int(width / 1.7))
    figure = make_figure(
        max(width or 6.5, _LEFT + columns * (panel + 0.5)),
        _TOP + blocks * block + 0.1 + 0.2 * math.ceil(len(shown) / names),
    )
    for index, task in enumerate(tasks):
        row, column = divmod(index, columns)
        x = _LEFT + column * (panel + 0.5)
        for line, (measure, name) in enumerate(measures.items()):
            y = _TOP + row * block + _TITLE + line * (_TALL + 0.15)
            axis = add_panel(figure, x, y, panel, _TALL)
            _draw_panel(axis, shown, task, measure)
            if column == 0:
                axis.set_ylabel(name, fontsize=9)
            if line == 0:
                axis.set_title(plain(task), fontsize=10)
                axis.tick_params(labelbottom=False)
            else:
                axis.set_xlabel("epoch", fontsize=9)
    add_titles(
        figure,
        name_figure(evidence, "learning curves"),
        f"{describe_picked(evidence, shown)}; line: mean over seeds, "
        "band: lowest to highest seed",
    )
    add_legend(figure, figure.axes[0], names)
    return figure


def _draw_panel(
    axis: "Axes", shown: Sequence[TrialResults], task: str, measure: str
) -> None:
    for index, trial in enumerate(shown):
        curve = over_seeds(trial.of_task(task), measure)
        colour = COLOURS[index]
        name = shorten(trial.trial.name, 32)
        axis.plot(
            curve.epochs,
            curve.mean,
            lw=1.4,
            label=name,
            color=colour,
            ls=_DASHES[index % 3],
        )
        axis.fill_between(
            curve.epochs,
            curve.low,
            curve.high,
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
    axis.grid(color=GRID, linewidth=0.8)
