"""The part of the page that is about corrupted images."""

import math
from itertools import starmap
from typing import Any

from markupsafe import Markup

from medzoo.report.corruption_tables import (
    describe_corruptions,
    describe_missing,
    make_by_kind,
    make_short_corruptions,
)
from medzoo.report.curves import Curve
from medzoo.report.evidence import Evidence
from medzoo.report.figures.corruptions import pick_lines
from medzoo.report.small_curves import SIDE, draw_curve
from medzoo.report.tables import Table, to_html


def lay_out_corruptions(evidence: Evidence) -> dict[str, Any]:
    """Makes what the template `corruptions.html` shows; empty without any."""
    found = evidence.corrupted
    if not found:
        return {}
    panels = list(starmap(_lay_panel, pick_lines(evidence).items()))
    return {
        "legend": describe_corruptions(evidence).replace("`", ""),
        "missing": describe_missing(found).replace("`", ""),
        "table": _write(make_short_corruptions(evidence)),
        "panels": panels,
        "names": max((panel["lines"] for panel in panels), key=len),
        "by_kind": {k: _write(t) for k, t in make_by_kind(found).items()},
        "side": SIDE,
    }


def _write(table: Table) -> Markup:
    return Markup(to_html(table))  # noqa: S704


def _lay_panel(task: str, curves: dict[int, Curve]) -> dict[str, Any]:
    """Makes one chart of the page: a line a trial."""
    most = max(curve.high.max() for curve in curves.values())
    top = max(math.ceil(most * 10), 1) / 10
    lines = [
        draw_curve(
            Curve(c.name, c.x / c.x[-1], c.y / top, c.low / top, c.high / top),
            number,
        )
        for number, c in curves.items()
    ]
    return {"task": task, "top": f"{top:.1f}", "lines": lines}
