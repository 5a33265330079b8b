"""The page of an audit: pairs of images beside each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medzoo.data.audit.audit import Audit, Pair
from medzoo.data.audit.report import format_audit
from medzoo.data.dataset import Dataset
from medzoo.explore.tiles import make_strip, to_uri
from medzoo.messages import encode_text
from medzoo.report.html import render
from medzoo.report.label_faults import LabelFault, LabelFaults
from medzoo.report.tables import to_csv

# Pictures of a page, of either kind.
_MOST = 60


def write_audit_page(
    dataset: Dataset,
    findings: Audit,
    pairs: Sequence[Pair],
    folder: Path,
    *,
    source: str,
    faults: LabelFaults | None = None,
) -> list[Path]:
    """Writes `audit.html`, and `label_faults.csv` if they were looked for.

    Args:
        dataset: The images.
        findings: Of the audit.
        pairs: Likewise.
        folder: Where the files go.
        source: What a user calls the data.
        faults: Images that every good run gets wrong.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "audit.html"
    title, *lines = format_audit(findings)
    order = sorted(
        pairs, key=lambda p: (not p.conflict, not p.across, -p.correlation)
    )
    shown = order[:_MOST]
    text = render(
        "audit.html",
        title=f"Audit of {findings.task}",
        source=source,
        lines=[*lines, title],
        leaks=bool(findings.line()),
        pairs=[_show_pair(dataset, pair) for pair in shown],
        shown=f"{len(shown)} of {len(pairs)} pairs are shown.",
        faults=[_show_fault(each) for each in faults.found[:_MOST]]
        if faults
        else [],
        faults_line=faults.line() if faults else "",
    )
    page.write_bytes(encode_text(text))
    if faults is None:
        return [page]
    table = folder / "label_faults.csv"
    table.write_bytes(encode_text(to_csv(faults.table())))
    return [page, table]


def _show_pair(dataset: Dataset, pair: Pair) -> dict[str, Any]:
    images = [
        dataset.splits[split].images[place]
        for split, place in (
            (pair.split, pair.place),
            (pair.other_split, pair.other_place),
        )
    ]
    return {
        "picture": to_uri(make_strip(images)),
        "first": f"{pair.split} {pair.image}: {pair.label or 'no label'}",
        "second": f"{pair.other_split} {pair.other_image}: "
        f"{pair.other_label or 'no label'}",
        "kind": pair.kind,
        "similarity": f"{pair.correlation:.3f}",
        "conflict": pair.conflict,
    }


def _show_fault(fault: LabelFault) -> dict[str, Any]:
    return {
        "picture": to_uri(make_strip([fault.pixels])),
        "name": fault.name,
        "label": fault.shot.label,
        "prediction": fault.shot.prediction,
        "probability": f"{fault.shot.probability:.2f}",
    }
