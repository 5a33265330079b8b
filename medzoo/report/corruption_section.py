"""The part of the page that is about corrupted images."""

import math
from typing import Any

from markupsafe import Markup

from medzoo.report.corruption_tables import (
    LEGEND,
    describe_missing,
    make_short_corruptions,
)
from medzoo.report.curves import Curve
from medzoo.report.evidence import Evidence
from medzoo.report.figures.corruptions import pick_lines
from medzoo.report.small_curves import SIDE, draw_curve
from medzoo.report.tables import to_html


def lay_out_corruptions(evidence: Evidence) -> dict[str, Any]:
    """Makes what the template `corruptions.html` shows; empty without any."""
    found = evidence.corrupted
    if not found:
        return {}
    table = make_short_corruptions(evidence)
    return {
        "legend": LEGEND.replace("`", ""),
        "missing": describe_missing(found).replace("`", ""),
        "table": Markup(to_html(table)),  # noqa: S704
        "panels": [
            _lay_panel(task, lines)
            for task, lines in pick_lines(evidence).items()
        ],
        "side": SIDE,
    }


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
