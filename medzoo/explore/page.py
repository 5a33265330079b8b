"""The page of a look at data: one HTML file that opens from disk."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medzoo.data.split import Dataset
from medzoo.explore.figures import make_figures
from medzoo.explore.statistics import FLAT, ClassLook, Look
from medzoo.explore.tiles import make_strip, to_uri
from medzoo.report.html import render
from medzoo.tasks import SPLITS

# Rows of a list that a page shows.
_MOST = 30
# Images of train below which a class is hard to learn, and to judge.
_FEW = 30
_WIDE, _TALL = 240, 80


def write_page(
    dataset: Dataset,
    look: Look,
    folder: Path,
    *,
    source: str,
    warnings: Sequence[str] = (),
) -> list[Path]:
    """Writes the page, figures and tables of a look into a folder.

    Args:
        dataset: What was looked at.
        look: What was found.
        folder: Where the files go.
        source: What a user calls the data.
        warnings: What an audit found.

    Returns:
        The files, the page first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = make_page(dataset, look, source=source, warnings=warnings)
    contents = {
        "explore.html": page.encode(),
        "classes.csv": _make_csv(look).encode(),
        **make_figures(look, dataset.task),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def make_page(
    dataset: Dataset, look: Look, *, source: str, warnings: Sequence[str] = ()
) -> str:
    """Makes the page.

    Args:
        dataset: What was looked at.
        look: What was found.
        source: What a user calls the data.
        warnings: What an audit found.
    """
    largest = max(sum(found.counts.values()) for found in look.classes)
    return render(
        "explore.html",
        title=dataset.task,
        source=source,
        summary=word_summary(dataset, look),
        warnings=[*warnings, *find_warnings(look)],
        notes=dataset.notes,
        splits=SPLITS,
        totals=look.totals(),
        classes=[_show(found, largest) for found in look.classes],
        is_grey=dataset.input_shape[-1] == 1,
        box=(_WIDE, _TALL),
        flat=look.flat[:_MOST],
        num_flat=len(look.flat),
        flat_below=FLAT,
        facts=_list_facts(dataset, look),
    )


def word_summary(dataset: Dataset, look: Look) -> str:
    """Says in two sentences how much there is of what."""
    total = sum(look.totals().values())
    height, width, channels = dataset.input_shape
    kind = "grey" if channels == 1 else "colour"
    by_size = sorted(look.classes, key=lambda found: found.counts["train"])
    rare, common = by_size[0], by_size[-1]
    return (
        f"{total:,} {kind} images of {width} x {height} pixels in "
        f"{len(look.classes)} classes. In train the largest class, "
        f"{common.name} ({common.counts['train']:,}), holds "
        f"{look.imbalance():.3g} times the images of the rarest, {rare.name} "
        f"({rare.counts['train']:,})."
    )


def find_warnings(look: Look) -> list[str]:
    """Lists what a user had better know before training."""
    warnings = []
    few = [c.name for c in look.classes if c.counts["train"] < _FEW]
    if few:
        warnings.append(
            f"Fewer than {_FEW} images of train: {', '.join(few)}. The "
            "scores of so small a class are unsure, and macro F1 counts it as "
            "much as any other."
        )
    for split in SPLITS[1:]:
        none = [c.name for c in look.classes if not c.counts[split]]
        if none:
            warnings.append(f"No image in {split}: {', '.join(none)}.")
    if look.flat:
        warnings.append(
            f"{len(look.flat)} images show next to nothing (listed below)."
        )
    return warnings


def _show(found: ClassLook, largest: int) -> dict[str, Any]:
    """Makes what the page shows of a class."""
    total = sum(found.counts.values())
    return {
        "name": found.name,
        "counts": found.counts,
        "total": total,
        "bars": [
            (split, 100 * found.counts[split] / largest) for split in SPLITS
        ],
        "brightness": found.brightness,
        "samples": to_uri(make_strip(list(found.samples))),
        "mean": to_uri(make_strip([found.mean])),
        "paths": [
            _make_path(row, found.histogram.max()) for row in found.histogram
        ],
    }


def _make_path(shares: Sequence[float], highest: float) -> str:
    """Draws a histogram as steps, in the words of SVG."""
    step = _WIDE / len(shares)
    parts = [f"M0 {_TALL}"]
    for at, share in enumerate(shares):
        parts.append(
            f"V{_TALL * (1 - share / highest):.1f}H{(at + 1) * step:g}"
        )
    return f"{''.join(parts)}V{_TALL}Z"


def _list_facts(dataset: Dataset, look: Look) -> dict[str, str]:
    facts = {"Fingerprint": dataset.fingerprint}
    for name, found in (("Sizes", look.sizes), ("Modes", look.modes)):
        if found:
            facts[f"{name} of the files"] = _word_counts(found)
    return facts


def _word_counts(found: Mapping[str, int]) -> str:
    """Words counts, the most frequent first.

    Example:

    >>> _word_counts({"L": 3, "RGB": 1})
    'L (3), RGB (1)'
    """
    shown = [f"{name} ({n:,})" for name, n in list(found.items())[:10]]
    if len(found) > len(shown):
        shown.append(f"and {len(found) - len(shown)} others")
    return ", ".join(shown)


def _make_csv(look: Look) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["class", *SPLITS, "share_of_train", "mean_intensity"])
    total = max(1, look.totals()["train"])
    for found in look.classes:
        counts = [found.counts[split] for split in SPLITS]
        share = round(counts[0] / total, 6)
        writer.writerow(
            [found.name, *counts, share, round(found.brightness, 3)]
        )
    return out.getvalue()
