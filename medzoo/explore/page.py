"""The explore page of a dataset: one HTML file that opens from disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medzoo.data.dataset import Dataset
from medzoo.explore.figures import make_figures
from medzoo.explore.masks import (
    find_mask_warnings,
    format_masks,
    show_masks,
    write_mask_classes,
)
from medzoo.explore.statistics import FLAT, ClassSummary, DatasetSummary
from medzoo.explore.tiles import TALL, WIDE, make_path, make_strip, to_uri
from medzoo.files import write_csv
from medzoo.messages import encode_text
from medzoo.report.html import render
from medzoo.tasks import SPLITS, word_meanings

# Rows of a list that a page shows.
_MOST = 30
# Images of train below which a class is hard to learn, and to judge.
_FEW = 30


def write_page(
    dataset: Dataset,
    summary: DatasetSummary,
    folder: Path,
    *,
    source: str,
    warnings: Sequence[str] = (),
) -> list[Path]:
    """Writes the page, figures and tables of a dataset into a folder.

    Args:
        dataset: The data.
        summary: Of `summarize`.
        folder: Where the files go.
        source: What a user calls the data.
        warnings: Further ones, as of an audit.

    Returns:
        The files, the page first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = make_page(dataset, summary, source=source, warnings=warnings)
    contents = {
        "explore.html": encode_text(page),
        **make_figures(summary, dataset.task),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    paths = [folder / name for name in [*contents, "classes.csv"]]
    _write_classes(summary, paths[-1])
    if summary.masks is not None:
        paths.append(folder / "mask_classes.csv")
        write_mask_classes(summary.masks, paths[-1])
    return paths


def make_page(
    dataset: Dataset,
    summary: DatasetSummary,
    *,
    source: str,
    warnings: Sequence[str] = (),
) -> str:
    """Makes the page; arguments are those of `write_page`."""
    largest = max(sum(one.counts.values()) for one in summary.classes)
    is_labelled = summary.num_labelled() > 0
    return render(
        "explore.html",
        title=dataset.task,
        source=source,
        summary=format_summary(dataset, summary),
        warnings=[*warnings, *find_warnings(summary)],
        notes=dataset.notes,
        splits=SPLITS,
        totals=summary.totals(),
        unlabelled=summary.unlabelled,
        classes=[_show(one, largest) for one in summary.classes * is_labelled],
        is_grey=dataset.input_shape[-1] == 1,
        box=(WIDE, TALL),
        flat=summary.flat[:_MOST],
        num_flat=len(summary.flat),
        flat_below=FLAT,
        masks=None if summary.masks is None else show_masks(summary.masks),
        facts=_list_facts(dataset, summary),
    )


def format_summary(dataset: Dataset, summary: DatasetSummary) -> str:
    """Words the numbers of images, classes and mask pixels."""
    total = sum(summary.totals().values())
    height, width, channels = dataset.input_shape
    kind = "grey" if channels == 1 else "colour"
    images = f"{total:,} {kind} images of {width} x {height} pixels"
    marks = "" if summary.masks is None else f" {format_masks(summary.masks)}"
    if not summary.num_labelled():
        return f"{images}, none of them labelled.{marks}"
    by_size = sorted(summary.classes, key=lambda one: one.counts["train"])
    rare, common = by_size[0], by_size[-1]
    return (
        f"{images} in {len(by_size)} classes. In train the largest class, "
        f"{common.name} ({common.counts['train']:,}), holds "
        f"{summary.imbalance():.3g} times the images of the rarest, "
        f"{rare.name} ({rare.counts['train']:,}).{marks}"
    )


def find_warnings(summary: DatasetSummary) -> list[str]:
    """Lists what limits a training or its scores."""
    warnings = []
    classes = summary.classes if summary.num_labelled() else []
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
    if summary.flat:
        warnings.append(
            f"{len(summary.flat)} images show next to nothing (listed below)."
        )
    if summary.masks is not None:
        warnings += find_mask_warnings(summary.masks)
    return warnings


def _show(one: ClassSummary, largest: int) -> dict[str, Any]:
    """Makes the values of the template of a class."""
    total = sum(one.counts.values())
    return {
        "name": one.name,
        "counts": one.counts,
        "total": total,
        "bars": [
            (split, 100 * one.counts[split] / largest) for split in SPLITS
        ],
        "brightness": one.brightness,
        "samples": to_uri(make_strip(list(one.samples) or [one.mean])),
        "mean": to_uri(make_strip([one.mean])),
        "paths": [make_path(row, one.histogram.max()) for row in one.histogram],
    }


def _list_facts(dataset: Dataset, summary: DatasetSummary) -> dict[str, str]:
    facts = {"Fingerprint": dataset.fingerprint}
    is_own = dataset.fingerprint.startswith("own:")
    if not is_own and (meanings := word_meanings(dataset.task)):
        facts["Classes"] = meanings
    for name, counts in (("Sizes", summary.sizes), ("Modes", summary.modes)):
        if counts:
            facts[f"{name} of the files"] = _format_counts(counts)
    return facts


def _format_counts(counts: Mapping[str, int]) -> str:
    """Words counts, such as `L (3), RGB (1)`."""
    shown = [f"{name} ({n:,})" for name, n in list(counts.items())[:10]]
    if len(counts) > len(shown):
        shown.append(f"and {len(counts) - len(shown)} others")
    return ", ".join(shown)


def _write_classes(summary: DatasetSummary, path: Path) -> None:
    total = max(1, summary.totals()["train"])
    write_csv(
        path,
        ["class", *SPLITS, "share_of_train", "mean_intensity"],
        [
            [
                one.name,
                *(one.counts[split] for split in SPLITS),
                round(one.counts["train"] / total, 6),
                round(one.brightness, 3),
            ]
            for one in summary.classes
        ],
    )
