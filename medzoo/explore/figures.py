"""Figures of the explore page as files, for papers and talks."""

from typing import TYPE_CHECKING

import numpy as np

from medzoo.explore.masks import draw_mask_classes
from medzoo.explore.statistics import BINS, ClassSummary, DatasetSummary
from medzoo.report.figures.style import (
    COLOURS,
    GRID,
    add_panel,
    add_titles,
    make_figure,
    render,
    shorten,
    text_width,
)
from medzoo.tasks import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of the channels of a colour image; grey has the first alone.
CHANNELS = ("#D55E00", "#009E73", "#0072B2")
_TOP, _ROW, _TILE = 0.75, 0.28, 0.62


def make_figures(summary: DatasetSummary, title: str) -> dict[str, bytes]:
    """Draws all figures; returns PNG files by name."""
    figures = {}
    if summary.num_labelled():
        figures["counts"] = _draw_counts(summary, title)
        figures["samples"] = _draw_samples(summary, title)
        figures["histograms"] = _draw_histograms(summary, title)
    if summary.masks is not None:
        figures["masks"] = draw_mask_classes(summary.masks, title)
    return {f"{name}.png": render(f, "png") for name, f in figures.items()}


def _draw_counts(summary: DatasetSummary, title: str) -> "Figure":
    """Draws a bar a class, in parts of the colour of their split."""
    names = [shorten(one.name, 30) for one in summary.classes]
    left = text_width(names) + 0.2
    tall = _ROW * len(names)
    figure = make_figure(left + 5.2, _TOP + tall + 0.75)
    ratio = f"{summary.imbalance():.3g} times the rarest"
    note = f"the largest class of train is {ratio}"
    add_titles(figure, f"{title}: images by class", note)
    axis = add_panel(figure, left, _TOP, 4.9, tall)
    places = np.arange(len(names))
    before = np.zeros(len(names))
    for split, colour in zip(SPLITS, COLOURS, strict=False):
        counts = np.array([one.counts[split] for one in summary.classes])
        axis.barh(places, counts, 0.7, before, color=colour, label=split)
        before += counts
    axis.set_yticks(places, names)
    axis.invert_yaxis()
    axis.grid(axis="x", color=GRID)
    figure.legend(
        *axis.get_legend_handles_labels(),
        loc="lower center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    return figure


def _draw_samples(summary: DatasetSummary, title: str) -> "Figure":
    """Draws a row of samples a class, its mean image first."""
    columns = 1 + max(len(one.samples) for one in summary.classes)
    names = [shorten(one.name, 24) for one in summary.classes]
    left = text_width(names) + 0.2
    figure = make_figure(
        left + columns * _TILE + 0.2, _TOP + len(names) * _TILE + 0.1
    )
    note = "mean of train, then images of train"
    add_titles(figure, f"{title}: samples by class", note)
    for row, one in enumerate(summary.classes):
        for column, image in enumerate([one.mean, *one.samples]):
            axis = add_panel(
                figure,
                left + column * _TILE,
                _TOP + row * _TILE,
                _TILE - 0.05,
                _TILE - 0.05,
            )
            shown = image[..., 0] if image.shape[-1] == 1 else image
            axis.imshow(shown, cmap="gray", vmin=0, vmax=255)
            axis.set_xticks([])
            axis.set_yticks([])
            if column == 0:
                axis.set_ylabel(
                    names[row], rotation=0, ha="right", va="center", size=8.5
                )
    return figure


def _draw_histograms(summary: DatasetSummary, title: str) -> "Figure":
    """Draws the intensities of each class in a panel of its own."""
    columns = min(4, len(summary.classes))
    rows = -(-len(summary.classes) // columns)
    figure = make_figure(0.3 + 2.3 * columns, _TOP + 1.75 * rows + 0.1)
    note = "share of the pixels of train from black (0) to white (255)"
    add_titles(figure, f"{title}: intensities by class", note)
    for at, one in enumerate(summary.classes):
        axis = add_panel(
            figure,
            0.3 + 2.3 * (at % columns),
            _TOP + 0.2 + 1.75 * (at // columns),
            2.1,
            1.15,
        )
        _draw_steps(axis, one)
        axis.set_ylim(0, (one.histogram.max() or 1) * 1.05)
        axis.set_yticks([])
        axis.set_title(shorten(one.name, 28), size=9, loc="left")
    return figure


def _draw_steps(axis: "Axes", one: ClassSummary) -> None:
    edges = np.linspace(0, 256, BINS + 1)
    grey = len(one.histogram) == 1
    for channel, shares in enumerate(one.histogram):
        colour = COLOURS[0] if grey else CHANNELS[channel]
        axis.stairs(shares, edges, color=colour, fill=True, alpha=0.3)
        axis.stairs(shares, edges, color=colour)
