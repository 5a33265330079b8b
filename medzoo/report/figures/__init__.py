"""The figures of a study: which ones it has, and their files."""

import functools
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medzoo.messages import encode_text, tolerating
from medzoo.record import MaskExamples, Predictions, Record
from medzoo.report.corruption_tables import make_corruptions
from medzoo.report.evidence import Evidence
from medzoo.report.figures.classes import draw_classes
from medzoo.report.figures.corruptions import draw_corruptions
from medzoo.report.figures.costs import differing_costs, draw_costs
from medzoo.report.figures.critical_difference import draw_critical_difference
from medzoo.report.figures.curves import draw_learning_curves
from medzoo.report.figures.differences import (
    draw_differences,
    draw_pairs,
    find_differences,
)
from medzoo.report.figures.explained import (
    draw_explained,
    find_explained,
    read_explained,
)
from medzoo.report.figures.heat_map import draw_heat_map, make_grid
from medzoo.report.figures.macro_f1 import draw_macro_f1
from medzoo.report.figures.masks import BLANK, draw_masks
from medzoo.report.figures.style import render
from medzoo.report.images import fingerprint_of, read_pictures
from medzoo.report.results import TrialResults
from medzoo.report.tables import to_csv
from medzoo.runs.sources import is_custom
from medzoo.scores.counts import dice_of_images
from medzoo.store import Reader
from medzoo.study.kept_models import name_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("png", "svg")
# Part of the key of every drawn file. Raise it when a drawing changes.
DRAWING_VERSION = 2
_NUMBER = re.compile(r"\d+\.\d+(?:e[-+]?\d+)?")
# All that there may be, so that one that is no longer drawn can be removed.
NAMES = (
    "macro_f1_by_task",
    "differences",
    "pairs",
    "heat_map",
    "costs",
    "learning_curves",
    "classes_of_best",
    "critical_difference",
    "corruptions",
    "explained",
    "masks_of_best",
)


def make_figures(evidence: Evidence, folder: Path) -> dict[str, bytes]:
    """Makes the files of the figures that make sense for a study.

    A figure whose records, `DRAWING_VERSION` and drawing library are those of
    the file in `folder` is that file again: drawing a study of all tasks costs
    about 7 seconds, reading its files 0.04.

    Args:
        evidence: The trials and their statistics.
        folder: Where the files of the last report are.

    Returns:
        The content of each file by its name.
    """
    models = name_folder(evidence.study, smoke=evidence.smoke)
    key = _make_key(evidence, models)
    files = {}
    for name, draw in choose_figures(evidence, models).items():
        old = [_read(folder / f"{name}.{kind}", key) for kind in KINDS]
        with tolerating(f"Drawing `{name}`"):
            if None in old:
                figure = draw()
                old = [render(figure, kind, key) for kind in KINDS]
            for kind, content in zip(KINDS, old, strict=True):
                files[f"{name}.{kind}"] = content or b""
    return files


def choose_figures(
    evidence: Evidence, models: str, *, width: float | None = None
) -> dict[str, "Callable[[], Figure]"]:
    """Picks what makes sense, by name; nothing is drawn yet.

    Args:
        evidence: The trials and their statistics.
        models: Name of the folder of the kept models.
        width: In inches, for figures that can be laid out to it.
    """
    bind = functools.partial
    results, best = evidence.results, evidence.best
    figures: dict[str, Callable[[], Figure]] = {}
    figures["macro_f1_by_task"] = bind(draw_macro_f1, evidence, width=width)
    if differences := find_differences(evidence):
        figures["differences"] = bind(
            draw_differences, evidence, differences, width=width
        )
        if len(differences.names) > 2:
            figures["pairs"] = bind(draw_pairs, evidence, differences)
    grid = make_grid(evidence)
    if grid is not None and not np.isnan(grid.values).all():
        figures["heat_map"] = bind(draw_heat_map, evidence, grid)
    if evidence.num_done and differing_costs(results):
        figures["costs"] = bind(draw_costs, evidence, width=width)
    if any(record.history for trial in results for record in trial.done):
        figures["learning_curves"] = bind(
            draw_learning_curves, evidence, width=width
        )
    name = best.trial.name
    if confusions := [c for c in evidence.confusions if c.trial == name]:
        figures["classes_of_best"] = bind(draw_classes, evidence, confusions)
    ranks = evidence.statistics.friedman
    if ranks is not None:
        figures["critical_difference"] = bind(
            draw_critical_difference, evidence, ranks
        )
    if evidence.corrupted:
        figures["corruptions"] = bind(draw_corruptions, evidence, width=width)
    if explained := read_explained(results, evidence.store, models):
        figures["explained"] = bind(draw_explained, evidence.title, explained)
    if masked := find_masks(best, evidence.store):
        record, examples, dice = masked
        title = f"{best.trial.name}, seed {record.run.seed}"
        figures["masks_of_best"] = bind(
            draw_masks,
            examples,
            dice,
            record.mask_classes,
            title=f"The best, middle and worst masks of {title}",
        )
    return figures


def find_masks(
    trial: TrialResults, store: Reader
) -> tuple[Record, MaskExamples, list[float]] | None:
    """Finds the first run of a trial that keeps masks, and their Dice.

    Images of custom data are blank, unless pictures of the data are kept (see
    `keep_gallery`): a report may be given away, and does not show them unasked.
    """
    for record in (record for record in trial.done if record.mask_classes):
        predictions = store.read_predictions(record.run_id) or Predictions()
        test, examples = predictions.test, predictions.examples
        if test is None or test.pixel_counts is None or examples is None:
            continue
        if len(examples.rows):
            dice = dice_of_images(test.pixel_counts[examples.rows])
            if not _shows_images(record, store):
                blank = np.full_like(examples.images, BLANK)
                examples = replace(examples, images=blank)
            return record, examples, dice.tolist()
    return None


def _shows_images(record: Record, store: Reader) -> bool:
    fingerprint = fingerprint_of(record, record.run.task)
    return not is_custom(record.run.data) or bool(
        read_pictures(fingerprint, store)
    )


def _make_key(evidence: Evidence, models: str) -> str:
    """Hashes the data of the figures of a study and the versions drawn with."""
    drawing = f"{DRAWING_VERSION} {version('matplotlib')}"
    digest = hashlib.sha256(drawing.encode())
    about = evidence.title, evidence.study.to_json(), evidence.statistics
    digest.update(_NUMBER.sub(_shorten, repr(about)).encode())
    for trial in evidence.results:
        for key, record in sorted(trial.records.items()):
            text = record.model_dump_json()
            digest.update(encode_text(f"{trial.trial.name} {key} {text}"))
    if evidence.corrupted:
        digest.update(encode_text(to_csv(make_corruptions(evidence))))
    if masked := find_masks(evidence.best, evidence.store):
        digest.update(masked[1].images.tobytes())
    found = find_explained(evidence.results, evidence.store, models)
    for _, _, content in found:
        digest.update(content)
    return f"medzoo {digest.hexdigest()}"


def _shorten(found: re.Match[str]) -> str:
    """Rounds a number, as its last digits vary by processor."""
    return f"{float(found[0]):.9g}"


def _read(path: Path, key: str) -> bytes | None:
    """Reads a figure if it was drawn from the same; the key is in its head."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    return content if key.encode() in content[:4096] else None
