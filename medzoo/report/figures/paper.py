"""Figures for a paper: PDF files without titles, as wide as its columns."""

from typing import TYPE_CHECKING

import numpy as np

from medzoo.messages import tolerating
from medzoo.report.evidence import Evidence
from medzoo.report.figures import choose_figures
from medzoo.report.figures.style import TITLES, render
from medzoo.study.kept_models import name_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches of one column of a journal and of two.
WIDTHS = {"one_column": 3.5, "two_columns": 7.2}
# Letters of 8.5 points become 6 points.
SMALLEST = 0.7
_TITLE = 0.45


def make_paper_figures(evidence: Evidence) -> dict[str, bytes]:
    """Makes each figure of a study as `NAME_one_column.pdf` and so on.

    A figure that is too wide is made smaller, down to letters of six points;
    one that would need smaller ones in a column is made for two columns alone,
    and one that is still too wide keeps its width.

    Args:
        evidence: The trials and their statistics.

    Returns:
        The content of each file by its name, fonts embedded.
    """
    models = name_folder(evidence.study, smoke=evidence.smoke)
    files = {}
    for ending, width in WIDTHS.items():
        drawings = choose_figures(evidence, models, width=width)
        for name, draw in drawings.items():
            with tolerating(f"Drawing `{name}`"):
                figure = draw()
                remove_titles(figure)
                share = width / float(figure.get_figwidth())
                if share < 1:
                    scale(figure, max(share, SMALLEST))
                if share >= SMALLEST or ending == "two_columns":
                    files[f"{name}_{ending}.pdf"] = render(figure, "pdf")
    return files


def remove_titles(figure: "Figure") -> None:
    """Removes what `add_titles` wrote, and its room."""
    titles = [text for text in figure.texts if text.get_gid() == TITLES]
    if not titles:
        return
    for text in titles:
        text.remove()
    height = float(figure.get_figheight())
    stretch = height / (height - _TITLE)
    for axis in figure.axes:
        box = axis.get_position()
        axis.set_position(
            (box.x0, box.y0 * stretch, box.width, box.height * stretch)
        )
    figure.set_figheight(height - _TITLE)


def scale(figure: "Figure", share: float) -> None:
    """Makes a figure smaller with all that is in it."""
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    figure.draw_without_rendering()  # Labels of ticks are made by it.
    figure.set_size_inches(*(side * share for side in figure.get_size_inches()))
    for axis in figure.axes:
        axis.tick_params(labelsize=8.5 * share)
    ticks = {
        id(label)
        for axis in figure.axes
        for label in (*axis.get_xticklabels(), *axis.get_yticklabels())
    }
    for found in figure.findobj():
        if isinstance(found, Text) and id(found) not in ticks:
            found.set_fontsize(float(found.get_fontsize()) * share)
        elif isinstance(found, Line2D):
            found.set_linewidth(found.get_linewidth() * share)
            found.set_markersize(found.get_markersize() * share)
        elif isinstance(found, Collection):
            widths = np.atleast_1d(found.get_linewidth()) * share
            found.set_linewidth(widths.tolist())
