"""Colours, sizes and labels of all figures, and their rendering."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medzoo.messages import printable
from medzoo.report.evidence import Evidence
from medzoo.report.results import TrialResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Of Okabe and Ito, a palette for colour-blind readers. Blue and vermilion come
# first, as they also differ in grey print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MEAN, BASELINE = COLOURS[:2]
SEED, GRID, NOTE, FRONT = "#8C8C8C", "#E6E6E6", "#555555", "#444444"
DPI = 150
# Marks of a panel beyond which an SVG has their picture, not each of them.
MOST_MARKS = 2_000
# Marks what `add_titles` writes.
TITLES = "titles"


def make_figure(width: float, height: float) -> "Figure":
    """Makes an empty figure of a size in inches, without global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def add_panel(
    figure: "Figure", left: float, top: float, width: float, height: float
) -> "Axes":
    """Adds axes in inches from the left and the top of a figure.

    Lengths are set by hand rather than by a layout engine, which takes seconds
    for a dozen panels.
    """
    across, down = figure.get_size_inches()
    box = (
        left / across,
        1 - (top + height) / down,
        width / across,
        height / down,
    )
    axis = figure.add_axes(box)
    axis.tick_params(length=0, labelsize=8.5)
    axis.spines[:].set_color(GRID)
    axis.set_axisbelow(True)
    return axis


def add_image(
    figure: "Figure", image: np.ndarray, left: float, top: float, side: float
) -> "Axes":
    """Draws an image, `uint8` of shape `(height, width, channels)`."""
    axis = add_panel(figure, left, top, side, side)
    axis.set_axis_off()
    shown = image[..., 0] if image.shape[-1] == 1 else image
    axis.imshow(shown, cmap="gray", vmin=0, vmax=255)
    return axis


def add_titles(figure: "Figure", title: str, note: str) -> None:
    """Writes a title and a note at the top; they take 0.6 inches."""
    width, height = figure.get_size_inches()
    left = 0.1 / width
    figure.text(left, 1 - 0.27 / height, plain(title), size=11, gid=TITLES)
    note = plain(note)
    figure.text(left, 1 - 0.48 / height, note, size=9, color=NOTE, gid=TITLES)


def add_legend(figure: "Figure", axis: "Axes", columns: int) -> None:
    """Explains the marks of `axis` below all panels."""
    figure.legend(
        *axis.get_legend_handles_labels(),
        loc="lower center",
        ncols=columns,
        frameon=False,
        fontsize=9,
        handletextpad=0.4,
    )


def name_figure(evidence: Evidence, what: str) -> str:
    """Writes the title of a figure; made-up data are named in each."""
    synthetic = ", SYNTHETIC data" * (evidence.study.data == "synthetic")
    return f"{evidence.title}: {what}{synthetic}"


def pick_trials(evidence: Evidence, most: int) -> list[TrialResults]:
    """Picks the best trials, and the baseline in place of the last of them.

    Args:
        evidence: Its trials and its baseline.
        most: How many an eye can follow.
    """
    picked = evidence.results[:most]
    for trial in evidence.results[most:]:
        if trial.trial == evidence.study.baseline:
            picked[-1] = trial
    return picked


def describe_picked(evidence: Evidence, shown: Sequence[TrialResults]) -> str:
    """Words which of the trials are shown."""
    if len(shown) == len(evidence.results):
        return "highest score first"
    return f"{len(shown)} of {len(evidence.results)} trials, the highest first"


def plain(text: str) -> str:
    """Keeps a dollar sign from beginning a formula, and all in one line."""
    return printable(text.replace("\n", " ").replace("\t", " ")).replace(
        "$", r"\$"
    )


def shorten(text: str, length: int) -> str:
    """Cuts a long text, and shows that it was cut."""
    return plain(text if len(text) <= length else f"{text[: length - 1]}…")


def widen(low: float, high: float, least: float) -> tuple[float, float]:
    """Widens limits: on a short axis, noise resembles a difference."""
    lacking = max(0.0, least - (high - low))
    return low - lacking / 2, high + lacking / 2


def count_columns(width: float, panel: float, most: int) -> int:
    """Counts the panels of a least width that fit beside each other."""
    return max(1, min(most, int(width / panel)))


def text_width(texts: Sequence[str], size: float = 8.5) -> float:
    """Estimates the width of the longest text in inches, as matplotlib's font
    sets it."""
    return math.ceil(max(map(len, texts), default=0) * size * 0.95) / 100


def render(figure: "Figure", kind: str, key: str = "") -> bytes:
    """Renders a figure to the same bytes each time.

    Args:
        figure: What to render.
        kind: `png`, `svg` or `pdf`.
        key: Kept in the head of the file: what the figure was drawn from.
    """
    import matplotlib

    metadata = {
        "svg": {"Date": None, "Description": key},
        "png": {"Software": None, "Description": key},
        "pdf": {"CreationDate": None, "Subject": key or None},
    }[kind]
    out = io.BytesIO()
    with matplotlib.rc_context(
        {
            "svg.hashsalt": "medzoo",
            "svg.fonttype": "none",
            "pdf.fonttype": 42,  # Whole fonts, which journals ask for.
        }
    ):
        figure.savefig(out, format=kind, dpi=DPI, metadata=metadata)
    return out.getvalue()


# Offsets in points, and how a name is set there, in order of preference.
_PLACES = (
    (6, 0, "left", "center"),
    (-6, 0, "right", "center"),
    (5, 6, "left", "bottom"),
    (5, -6, "left", "top"),
    (-5, -6, "right", "top"),
    (-5, 6, "right", "bottom"),
)


def place_labels(
    axis: "Axes",
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    *,
    first: np.ndarray,
) -> None:
    """Writes each name beside its point; a name without room is left out.

    Args:
        axis: Where the points are, with its final limits.
        x: Shape `(n,)`; NaN for a point that is not drawn.
        y: Shape `(n,)`.
        names: Of the points.
        first: Shape `(n,)`, whether a point's name goes before the others.
    """
    known = np.flatnonzero(~np.isnan(x + y))
    pixels = axis.transData.transform(np.column_stack([x, y])[known])
    # A point covers about 9 pixels to each side.
    taken = [(px - 9, py - 9, px + 9, py + 9) for px, py in pixels]
    edges = axis.get_window_extent().extents
    for index in sorted(known, key=lambda i: not first[i]):
        own = taken[list(known).index(index)]
        others = [box for box in taken if box is not own]
        # The front runs to the right of its points and below them.
        places = _PLACES[::-1] if first[index] else _PLACES
        for dx, dy, across, down in places:
            label = axis.annotate(
                shorten(names[int(index)], 28),
                (x[index], y[index]),
                xytext=(dx, dy),
                textcoords="offset points",
                ha=across,
                va=down,
                fontsize=8,
                color="black" if first[index] else NOTE,
            )
            box = label.get_window_extent().extents
            if _inside(box, edges) and not any(_meet(box, b) for b in others):
                taken.append(box)
                break
            label.remove()


def _inside(box: Sequence[float], edges: Sequence[float]) -> bool:
    left, low, right, high = edges
    return bool(
        left <= box[0] and low <= box[1] and box[2] <= right and box[3] <= high
    )


def _meet(a: Sequence[float], b: Sequence[float]) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])
