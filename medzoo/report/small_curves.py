"""Curves as small drawings for a page: SVG without a library."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from medzoo.report.curves import Curve, TrialCurves
from medzoo.report.figures.style import COLOURS

# Units of a panel to each side; of the page, about pixels.
SIDE = 180
# All drawings of a page together.
_MOST_BYTES = 300_000


class Line(NamedTuple):
    """A curve as SVG has it: the path of its line, and that of its band."""

    name: str
    colour: str
    dash: str
    line: str
    band: str


def draw_small(found: Sequence[TrialCurves]) -> list[dict[str, Any]]:
    """Makes what the template `curves.html` draws, the first trials first.

    Trials that would make the page too large are left out.
    """
    drawn: list[dict[str, Any]] = []
    size = 0
    for each in found:
        made = {
            "trial": each.trial,
            "task": each.task,
            "bins": _draw_bins(each),
            "roc": _draw_all(each.roc),
            "precision_recall": _draw_all(each.precision_recall),
        }
        size += len(str(made))
        if size > _MOST_BYTES:
            break
        drawn.append(made)
    return drawn


def _draw_all(curves: Sequence[Curve]) -> list[Line]:
    return [draw_curve(curve, at) for at, curve in enumerate(curves)]


def draw_curve(curve: Curve, number: int) -> Line:
    """Draws a curve in the colour of its number."""
    return Line(
        curve.name,
        COLOURS[number % len(COLOURS)],
        "" if number < len(COLOURS) else "4 2",
        _write_path(curve.x, curve.y),
        _write_band(curve),
    )


def _draw_bins(each: TrialCurves) -> list[dict[str, int]]:
    """Places the dots of a reliability diagram, and bars of its histogram."""
    curve, number = each.calibration, len(each.shares)
    width = SIDE / number
    return [
        {
            "left": round(at * width),
            "width": max(1, round(width) - 1),
            "height": round(share * SIDE / 2),
            "x": round(curve.x[at] * SIDE),
            "y": round(SIDE - curve.y[at] * SIDE),
            "low": round(SIDE - curve.low[at] * SIDE),
            "high": round(SIDE - curve.high[at] * SIDE),
        }
        for at, share in enumerate(each.shares)
        if share > 0 and not np.isnan(curve.low[at])
    ]


def _write_band(curve: Curve) -> str:
    x = np.concatenate([curve.x, curve.x[::-1]])
    path = _write_path(x, np.concatenate([curve.low, curve.high[::-1]]))
    return f"{path}z" if path else ""


def _write_path(x: np.ndarray, y: np.ndarray) -> str:
    """Writes points as steps from each to the next, in whole units."""
    known = ~np.isnan(y)
    points = np.stack([x[known], 1 - y[known]], axis=1) * SIDE
    places = np.round(points).astype(int)
    if not len(places):
        return ""
    steps = np.diff(places, axis=0)
    steps = steps[(steps != 0).any(axis=1)]
    start = " ".join(map(str, places[0]))
    rest = "".join(f"l{dx} {dy}" for dx, dy in steps).replace(" -", "-")
    return f"M{start}{rest}"
