"""Curves as small drawings for a page: SVG without a library."""

from typing import NamedTuple

import numpy as np

from medzoo.report.curves import Curve
from medzoo.report.figures.style import COLOURS

# Units of a panel to each side; of the page, about pixels.
SIDE = 180


class Line(NamedTuple):
    """A curve as SVG has it: the path of its line, and that of its band."""

    name: str
    colour: str
    dash: str
    line: str
    band: str


def draw_curve(curve: Curve, number: int) -> Line:
    """Draws a curve in the colour of its number."""
    return Line(
        curve.name,
        COLOURS[number % len(COLOURS)],
        "" if number < len(COLOURS) else "4 2",
        _write_path(curve.x, curve.y),
        _write_band(curve),
    )


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
