"""The part of the page that is about corrupted images."""

from typing import Any

from markupsafe import Markup

from medzoo.report.corruption_tables import (
    describe_corruptions,
    describe_missing,
    make_by_kind,
    make_short_corruptions,
)
from medzoo.report.evidence import Evidence
from medzoo.report.figures.corruptions import pick_lines
from medzoo.report.tables import Table, to_html


def lay_out_corruptions(evidence: Evidence) -> dict[str, Any]:
    """Makes what the template `corruptions.html` shows; empty without any."""
    found = evidence.corrupted
    if not found:
        return {}
    return {
        "legend": describe_corruptions(evidence).replace("`", ""),
        "missing": describe_missing(found).replace("`", ""),
        "table": _write(make_short_corruptions(evidence)),
        "by_kind": {k: _write(t) for k, t in make_by_kind(found).items()},
    }


def _write(table: Table) -> Markup:
    return Markup(to_html(table))  # noqa: S704


def list_corruption_curves(evidence: Evidence) -> list[dict[str, Any]]:
    """Lists the curves of `pick_lines` for the scripts of the page."""
    return [
        {
            "task": task,
            "lines": [
                {"name": curve.name}
                | {
                    axis: [round(float(v), 4) for v in getattr(curve, axis)]
                    for axis in ("x", "y", "low", "high")
                }
                for curve in curves.values()
            ],
        }
        for task, curves in pick_lines(evidence).items()
    ]
