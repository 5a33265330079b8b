"""The table with a row a run: everything but its history."""

import json
from collections.abc import Iterable

from medzoo.report.matrix import TrialResults
from medzoo.report.tables import Cell, Table
from medzoo.tasks import NAMES
from medzoo.training.choices import AFTER_TRAINING
from medzoo.training.record import Record
from medzoo.training.run import Run

SPLITS = ("train", "val", "test")
SCORES = (
    "accuracy",
    "macro_f1",
    "balanced_accuracy",
    "auc",
    "cross_entropy",
    "mcc",
    "loss",
)
# Behind them, if a run has masks.
MASK_SCORES = (
    "dice",
    "foreground_dice",
    "mean_iou",
    "mask_precision",
    "mask_recall",
    "mask_f1",
    "mask_mcc",
    "pixel_accuracy",
    "dice_per_image",
    "mean_iou_per_image",
)
SECONDS = (
    "load",
    "build",
    "first_step",
    "train",
    "check",
    "evaluate",
    "total",
)
PACKAGES = ("medzoo", "keras", "tensorflow", "jax", "numpy", "python")


def make_runs(results: Iterable[TrialResults]) -> Table:
    """Makes one row a run, in the order of `results`, with full precision.

    A run of several tasks has a row a task, each with the scores of that task
    and the costs of the whole run. A run without a record has the status
    `missing` and no results.
    """
    results = list(results)
    masked = any(r.segments for t in results for r in t.records.values())
    rows = [
        _make_row(trial.trial.name, run, trial.records.get(key), masked)
        | {"task": key[1]}
        for trial in results
        for key, run in trial.runs.items()
    ]
    # There may be no row: no tuned value is chosen yet.
    blank = Run.model_validate({"task": NAMES[0]})
    columns = tuple(_make_row("", blank, None, masked))
    return Table(columns, [list(row.values()) for row in rows])


def _make_row(
    trial: str, run: Run, record: Record | None, masked: bool
) -> dict[str, Cell]:
    # A record without results, for the same columns.
    empty = Record(run=run, run_id=run.run_id, status="failed")
    return {
        "trial": trial,
        "run_id": run.run_id,
        "status": "missing" if record is None else record.status,
        **_asked(run),
        **_scores(record or empty, masked),
        **_rest(record or empty),
    }


def _asked(run: Run) -> dict[str, Cell]:
    """Lists what was asked; `parameters` is the name of what was built."""
    fields = {
        "parameters_asked" if name == "parameters" else name: value
        for name, value in run.model_dump(mode="json").items()
    }
    del fields["fingerprint"]  # That of the record is told in any case.
    for name in ("options", "data_options"):
        fields[name] = json.dumps(fields[name])
    return fields


def _scores(record: Record, masked: bool) -> dict[str, Cell]:
    row: dict[str, Cell] = {}
    for split in SPLITS[1:]:
        scores = record.scores.get(split, {})
        row |= {f"{split}_{name}": scores.get(name) for name in SCORES}
        classes = record.per_class_f1.get(split, [])
        row[f"{split}_per_class_f1"] = " ".join(map(str, classes))
        if masked:
            row |= {f"{split}_{name}": scores.get(name) for name in MASK_SCORES}
            dice = record.per_segment_dice.get(split, [])
            row[f"{split}_per_segment_dice"] = " ".join(map(str, dice))
    for option in AFTER_TRAINING:
        for split in SPLITS[1:]:
            without = record.without.get(option, {}).get(split, {})
            name = f"{split}_macro_f1_without_{option}"
            row[name] = without.get("macro_f1")
    return row


def _rest(record: Record) -> dict[str, Cell]:
    count, images = record.parameters, record.num_images
    message = str((record.error or {}).get("message", ""))
    return {
        "best_step": record.best_step,
        "parameters": None if count is None else count.total,
        "parameters_trainable": None if count is None else count.trainable,
        "flops": record.flops,
        "built_width": record.width,
        **{f"{part}_seconds": record.seconds.get(part) for part in SECONDS},
        "images_per_second": record.images_per_second,
        "peak_memory_mb": record.peak_memory_mb,
        **{f"{split}_images": images.get(split) for split in SPLITS},
        "device": record.device,
        **{f"{name}_version": record.versions.get(name) for name in PACKAGES},
        "data_fingerprint": record.data_fingerprint,
        "started": record.started,
        "error": " ".join(message.split()),
    }
