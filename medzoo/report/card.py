"""Model cards: what a trained model is, what it scores, and what it is not for.

After [Mitchell et al., 2019](https://doi.org/10.1145/3287560.3287596).
"""

from pathlib import Path

import numpy as np

from medzoo.data.custom.address import is_custom
from medzoo.messages import encode_text
from medzoo.record import Predictions, Record, SplitPredictions
from medzoo.report.bootstrap import (
    NUM_REPLICATES,
    bootstrap_masks,
    bootstrap_score,
)
from medzoo.report.pages import describe_options, list_settings
from medzoo.report.statistics import Spread
from medzoo.report.tables import Cell, Table, format_list, format_table
from medzoo.report.write import replace_file
from medzoo.runs.run import Run
from medzoo.scores.counts import confusion_matrix
from medzoo.tasks import NAMES, get_task, word_meanings

# What is known of the official splits, and makes their scores say less.
LEAKS = {
    "breastmnist": "A quarter of the test images have a near-duplicate in "
    "train, one of them with the opposite label.",
    **dict.fromkeys(
        ("organamnist", "organcmnist", "organsmnist"),
        "OrganAMNIST, OrganCMNIST and OrganSMNIST are three views of the same "
        "scans: a model that was trained on one has seen the patients of the "
        "others.",
    ),
    **dict.fromkeys(
        ("pathmnist", "pneumoniamnist", "octmnist"),
        "The test split is made up differently than val, so that scores on val "
        "say little about test.",
    ),
}
_KINDS = ("classifier", "classifier and segmenter")
_SHOWN = ("macro_f1", "balanced_accuracy", "accuracy", "auc", "mcc")


def write_card(
    record: Record,
    path: str | Path,
    predictions: Predictions | None = None,
) -> None:
    """Writes the model card of a run as Markdown.

    Args:
        record: Of a run that is done.
        path: The file to write, such as `model.md` beside `model.keras`.
        predictions: What the store keeps beside the record; with it the card
            has an interval and a confusion matrix.

    Example:

        write_card(record, "model.md", Store().read_predictions(record.run_id))
    """
    text = make_card(record, predictions or Predictions())
    replace_file(Path(path), encode_text(text))


def make_card(record: Record, predictions: Predictions) -> str:
    """Makes the text of a model card; see `write_card`."""
    run = record.run
    known = None
    if run.task in NAMES and not is_custom(run.data):
        known = get_task(run.task)
    title = run.task if known is None else known.title
    licence = "not known" if known is None else known.licence
    official = known is not None and run.data == "medmnist"
    backbone = describe_weights(run)
    data = {
        "task": f"{title} ({len(record.classes)} classes), source `{run.data}`",
        "licence of the data": licence if official else "that of their source",
        **({"licence of the backbone": backbone} if backbone else {}),
        "images": ", ".join(f"{n} {s}" for s, n in record.num_images.items()),
        "size": f"{run.size} x {run.size} pixels",
        **({"read with": describe_options(run)} if run.data_options else {}),
        "fingerprint": record.data_fingerprint,
    }
    if known is not None and (meanings := word_meanings(run.task)):
        data["classes"] = meanings
    if official and run.task in LEAKS:
        data["known leaks"] = LEAKS[run.task]
    if record.notes:
        data["notes"] = " ".join(record.notes)
    parts = [
        f"# {run.model} on {title}",
        f"A {_KINDS[bool(record.mask_classes)]} of images, trained by medzoo. "
        "Run "
        f"`{record.run_id}`, {record.started}.",
        "## Scores",
        format_table(_scores(record)),
        _format_interval(predictions.test),
        "`val` chose the weights, so its scores are too good; `test` was read "
        "once.",
        "## Classes",
        format_table(_classes(record, predictions.test)),
        *_confusion(record, predictions.test),
        *_mask_classes(record),
        "## Data",
        format_list(data),
        "## Recipe",
        format_list(_recipe(record)),
        "## Use and limits",
        _format_limits(record),
        "## Versions",
        format_list(record.versions | {"device": record.device}),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def describe_weights(run: Run) -> str:
    """Words whose licence pretrained weights have; nothing without any."""
    backbone = run.options.get("backbone", "none")
    weights = run.options.get("weights", "none")
    if backbone == "none" or (weights == "none" and ":" not in str(backbone)):
        return ""
    return f"that of the authors of `{backbone}` (weights: {weights})"


def _scores(record: Record) -> Table:
    names = (*("dice", "mean_iou") * bool(record.mask_classes), *_SHOWN)
    rows: list[list[Cell]] = [
        [split, *(_round(found.get(name)) for name in names)]
        for split, found in record.scores.items()
    ]
    return Table(("split", *names), rows)


def _mask_classes(record: Record) -> list[str]:
    """Lists the Dice of each mask class, if there are any."""
    if not record.mask_classes:
        return []
    dice = record.per_mask_class_dice
    rows: list[list[Cell]] = [
        [name, *(_round(values[at]) for values in dice.values())]
        for at, name in enumerate(record.mask_classes)
    ]
    table = Table(("mask class", *(f"{s}_dice" for s in dice)), rows)
    note = (
        "Dice is pooled over the pixels of a split; above it is the mean over "
        f"all mask classes but {record.mask_classes[0]}."
    )
    return ["## Masks", format_table(table), note]


def _round(value: float | None) -> Cell:
    return None if value is None else Spread(value, 0.0)


def _format_interval(test: SplitPredictions | None) -> str:
    draws = {}
    counts = None if test is None else test.pixel_counts
    if test is not None and counts is not None and counts[:, 1:].any():
        draws["Dice"] = bootstrap_masks(counts, "dice", groups=test.groups)
    if test is not None and (test.labels >= 0).any():
        draws["macro F1"] = bootstrap_score(
            test.probabilities, test.labels, groups=test.groups
        )
    if not draws:
        return ""
    ends = {k: np.nanquantile(v, [0.025, 0.975]) for k, v in draws.items()}
    words = (f"{k} {low:.3f} to {high:.3f}" for k, (low, high) in ends.items())
    return (
        "95 % intervals on test, over other test images (bootstrap, "
        f"{NUM_REPLICATES:,} draws): {', '.join(words)}. Other seeds would "
        "widen them."
    )


def _classes(record: Record, test: SplitPredictions | None) -> Table:
    counts: list[Cell] = [None] * len(record.classes)
    if test is not None:
        kept = test.labels[test.labels >= 0]
        counts = np.bincount(kept, minlength=len(record.classes)).tolist()
    rows: list[list[Cell]] = [
        [
            name,
            counts[label],
            *(_round(f1[label]) for f1 in record.per_class_f1.values()),
        ]
        for label, name in enumerate(record.classes)
    ]
    splits = (f"{split}_f1" for split in record.per_class_f1)
    return Table(("class", "test_images", *splits), rows)


def _confusion(record: Record, test: SplitPredictions | None) -> list[str]:
    if test is None:
        return []
    counts = confusion_matrix(
        test.labels, test.predicted_labels, len(record.classes)
    )
    names = [f"{label} {name}" for label, name in enumerate(record.classes)]
    rows: list[list[Cell]] = [
        [name, *map(int, row)] for name, row in zip(names, counts, strict=True)
    ]
    columns = ("class", *(f"as {label}" for label in range(len(names))))
    return [
        "Images of test by their class (row) and what they were taken for:",
        format_table(Table(columns, rows)),
    ]


def _recipe(record: Record) -> dict[str, str]:
    settings = list_settings(record.run) | {"seed": str(record.run.seed)}
    count = record.parameters
    if count is not None:
        # A backbone has weights of this name; these are those of the model.
        text = f"{count.total:,}, {count.trainable:,} trainable"
        settings["weights"] = text
    return settings


def _format_limits(record: Record) -> str:
    run = record.run
    sentences = [
        "For research and teaching. It is no medical device and must not be "
        "used for a diagnosis.",
        f"It takes images of {run.size} x {run.size} pixels that were made as "
        "those it was trained on; what it says of others is not known. It "
        "always answers with one of its classes, also for an image that shows "
        "none of them, and its probabilities are not calibrated.",
    ]
    if record.mask_classes:
        sentences.append(
            "A mask is the likeliest class of each pixel. `medzoo predict` "
            "takes an image of another size by tiles at its own scale, or with "
            "--resize as those of the training, whose files may have been "
            "larger."
        )
    if run.data == "synthetic":
        sentences.insert(
            0, "Trained on made-up images: it knows nothing of medicine."
        )
    return " ".join(sentences)
