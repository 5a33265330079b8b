"""The page of a look at data: one HTML file that opens from disk."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medzoo.data.dataset import Dataset
from medzoo.explore.figures import make_figures
from medzoo.explore.masks import (
    find_mask_warnings,
    format_masks,
    make_mask_class_csv,
    show_masks,
)
from medzoo.explore.statistics import FLAT, ClassSummary, Look
from medzoo.explore.tiles import TALL, WIDE, make_path, make_strip, to_uri
from medzoo.report.html import render
from medzoo.tasks import SPLITS

# Rows of a list that a page shows.
_MOST = 30
# Images of train below which a class is hard to learn, and to judge.
_FEW = 30


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
    if look.masks is not None:
        contents["mask_classes.csv"] = make_mask_class_csv(look.masks).encode()
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
    is_labelled = look.num_labelled() > 0
    return render(
        "explore.html",
        title=dataset.task,
        source=source,
        summary=format_summary(dataset, look),
        warnings=[*warnings, *find_warnings(look)],
        notes=dataset.notes,
        splits=SPLITS,
        totals=look.totals(),
        unlabelled=look.unlabelled,
        classes=[_show(found, largest) for found in look.classes * is_labelled],
        is_grey=dataset.input_shape[-1] == 1,
        box=(WIDE, TALL),
        flat=look.flat[:_MOST],
        num_flat=len(look.flat),
        flat_below=FLAT,
        masks=None if look.masks is None else show_masks(look.masks),
        facts=_list_facts(dataset, look),
    )


def format_summary(dataset: Dataset, look: Look) -> str:
    """Says in a few sentences how much there is of what."""
    total = sum(look.totals().values())
    height, width, channels = dataset.input_shape
    kind = "grey" if channels == 1 else "colour"
    images = f"{total:,} {kind} images of {width} x {height} pixels"
    marks = "" if look.masks is None else f" {format_masks(look.masks)}"
    if not look.num_labelled():
        return f"{images}, none of them labelled.{marks}"
    by_size = sorted(look.classes, key=lambda found: found.counts["train"])
    rare, common = by_size[0], by_size[-1]
    return (
        f"{images} in {len(look.classes)} classes. In train the largest class, "
        f"{common.name} ({common.counts['train']:,}), holds "
        f"{look.imbalance():.3g} times the images of the rarest, {rare.name} "
        f"({rare.counts['train']:,}).{marks}"
    )


def find_warnings(look: Look) -> list[str]:
    """Lists what a user had better know before training."""
    warnings = []
    classes = look.classes if look.num_labelled() else []
    few = [c.name for c in classes if c.counts["train"] < _FEW]
    if few:
        warnings.append(
            f"Fewer than {_FEW} images of train: {', '.join(few)}. The "
            "scores of so small a class are unsure, and macro F1 counts it as "
            "much as any other."
        )
    for split in SPLITS[1:]:
        none = [c.name for c in classes if not c.counts[split]]
        if none:
            warnings.append(f"No image in {split}: {', '.join(none)}.")
    if look.flat:
        warnings.append(
            f"{len(look.flat)} images show next to nothing (listed below)."
        )
    if look.masks is not None:
        warnings += find_mask_warnings(look.masks)
    return warnings


def _show(found: ClassSummary, largest: int) -> dict[str, Any]:
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
        "samples": to_uri(make_strip(list(found.samples) or [found.mean])),
        "mean": to_uri(make_strip([found.mean])),
        "paths": [
            make_path(row, found.histogram.max()) for row in found.histogram
        ],
    }


def _list_facts(dataset: Dataset, look: Look) -> dict[str, str]:
    facts = {"Fingerprint": dataset.fingerprint}
    for name, found in (("Sizes", look.sizes), ("Modes", look.modes)):
        if found:
            facts[f"{name} of the files"] = _format_counts(found)
    return facts


def _format_counts(found: Mapping[str, int]) -> str:
    """Words counts, the most frequent first.

    Example:

    >>> _format_counts({"L": 3, "RGB": 1})
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
