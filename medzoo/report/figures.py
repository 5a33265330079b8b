"""Figures of score matrices, drawn without a display or global state."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medzoo.report.aggregate import (
    harmonic_mean_by_seed,
    harmonic_mean_over_tasks,
    over_seeds,
)
from medzoo.report.matrix import TrialResults
from medzoo.study.spec import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue and vermilion of Okabe and Ito, told apart by every kind of eye.
_MEAN, _BASELINE = "#0072B2", "#D55E00"
_SEED, _GRID, _NOTE = "#8C8C8C", "#E6E6E6", "#555555"
# Lengths in inches. They are set here rather than by a layout engine, which
# takes seconds for a dozen panels.
_PANEL, _ROW, _CHARACTER = 2.1, 0.2, 0.072
_LEFT, _TOP, _BOTTOM, _GAP, _TITLE = 0.35, 0.5, 0.3, 0.2, 0.65
_COLUMNS = 4
# Narrower than this, differences would look larger than they are.
_SMALLEST_SPAN = 0.05


def draw_macro_f1(study: Study, results: Sequence[TrialResults]) -> "Figure":
    """Draws macro F1 on test: a panel a task, a row a trial, a dot a seed.

    Args:
        study: Gives the name and the baseline.
        results: The trials in the order of the rows, the best first.
    """
    trials = [trial.trial for trial in results]
    baseline = trials.index(study.baseline) if study.baseline else None
    matrices = [trial.matrix("macro_f1") for trial in results]
    by_seed = np.stack([harmonic_mean_by_seed(matrix) for matrix in matrices])
    means = [harmonic_mean_over_tasks(matrix).mean for matrix in matrices]
    tasks = results[0].tasks
    figure, axes = _make_panels(1 + len(tasks), [t.name for t in trials])
    _draw_panel(axes[0], by_seed, means, baseline)
    axes[0].set_title("harmonic mean", fontsize=10, weight="bold")
    for column, (axis, task) in enumerate(zip(axes[1:], tasks, strict=True)):
        seeds = np.stack([matrix[:, column] for matrix in matrices])
        means = [over_seeds(row).mean for row in seeds]
        _draw_panel(axis, seeds, means, baseline)
        axis.set_title(task, fontsize=10)
    _explain(figure, axes[0], study)
    return figure


def render(figure: "Figure", kind: str) -> bytes:
    """Renders a figure to the same bytes each time.

    Args:
        figure: What to render.
        kind: `png` or `svg`.
    """
    import matplotlib

    metadata = {"svg": {"Date": None}, "png": {"Software": None}}[kind]
    out = io.BytesIO()
    with matplotlib.rc_context(
        {"svg.hashsalt": "medzoo", "svg.fonttype": "none"}
    ):
        figure.savefig(out, format=kind, dpi=150, metadata=metadata)
    return out.getvalue()


def _make_panels(
    num_panels: int, names: Sequence[str]
) -> tuple["Figure", list["Axes"]]:
    """Makes a grid of empty panels with a row a name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A dollar sign would begin a formula.
    labels = [name.replace("$", r"\$") for name in names]
    columns = min(_COLUMNS, num_panels)
    left = _LEFT + _CHARACTER * max(map(len, names))
    tall = _ROW * (len(names) + 0.5)
    width = left + columns * (_PANEL + _GAP)
    rows = math.ceil(num_panels / columns)
    height = _TOP + rows * (_TITLE + tall) + _BOTTOM + _GAP
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = []
    for index in range(num_panels):
        row, column = divmod(index, columns)
        x = left + column * (_PANEL + _GAP)
        # Half of the space for a title is for the ticks of the panel above.
        y = height - _TOP - (row + 1) * (_TITLE + tall) + _TITLE / 2
        box = (x / width, y / height, _PANEL / width, tall / height)
        axis = figure.add_axes(box)
        axis.set_ylim(len(names) - 0.25, -0.75)
        axis.set_yticks(range(len(names)), labels if column == 0 else [])
        axes.append(axis)
    return figure, axes


def _draw_panel(
    axis: "Axes",
    seeds: np.ndarray,
    means: Sequence[float],
    baseline: int | None,
) -> None:
    """Draws one score, shape `(num_trials, num_seeds)`, a row a trial."""
    from matplotlib.ticker import MaxNLocator

    rows = np.arange(len(seeds))
    at = np.repeat(rows, seeds.shape[1])
    axis.plot(seeds.ravel(), at, "o", color=_SEED, ms=3, mew=0, label="a seed")
    axis.plot(means, rows, "D", color=_MEAN, ms=5, label="mean over seeds")
    if baseline is not None:
        mean = means[baseline]
        axis.plot(mean, baseline, "D", color=_BASELINE, ms=5, label="baseline")
        axis.axvline(mean, color=_BASELINE, linewidth=0.8, zorder=1)
    if len(empty := rows[np.isnan(means)]):
        edge = np.full(len(empty), 0.03)
        across = axis.get_yaxis_transform()
        marks = axis.plot(edge, empty, "x", color=_SEED, ms=4, transform=across)
        marks[0].set_label("runs are missing or failed")
    low, high = axis.get_xlim()
    lacking = max(0.0, _SMALLEST_SPAN - (high - low))
    axis.set_xlim(low - lacking / 2, high + lacking / 2)
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.grid(color=_GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(length=0, labelsize=8.5)
    axis.spines[:].set_color(_GRID)


def _explain(figure: "Figure", axis: "Axes", study: Study) -> None:
    """Writes the title above the panels and the legend below them."""
    height = figure.get_figheight()
    synthetic = ", SYNTHETIC data" * (study.data == "synthetic")
    title = f"{study.name}: macro F1 on the test split{synthetic}"
    note = "best trial first; each panel has its own scale"
    figure.text(0.1 / figure.get_figwidth(), 1 - 0.3 / height, title, size=11)
    figure.text(
        0.1 / figure.get_figwidth(), 1 - 0.5 / height, note, size=9, color=_NOTE
    )
    figure.legend(
        *axis.get_legend_handles_labels(),
        loc="lower center",
        ncols=4,
        frameon=False,
        fontsize=9,
        handletextpad=0.2,
    )
