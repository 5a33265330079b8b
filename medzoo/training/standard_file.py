"""Predictions as medmnist's own `Evaluator` writes and reads them."""

import csv
from pathlib import Path

import numpy as np

from medzoo.files import replacing, writing
from medzoo.scores import probabilities as scores


def write_standard_file(
    folder: Path,
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    task: str,
    size: int = 28,
    split: str = "test",
    run: str = "run",
) -> Path:
    """Writes one line an image: its number, then a probability a class.

    Args:
        folder: Where to write.
        probabilities: Shape `(n, num_classes)`, in the order of the split.
        labels: Shape `(n,)`.
        task: Name of the task.
        size: Height of the images.
        split: `train`, `val` or `test`.
        run: End of the file's name.

    Returns:
        The path, such as `breastmnist_test_[AUC]0.812_[ACC]0.801@run.csv`.
    """
    found = scores.score(probabilities, labels, probabilities.shape[1])
    auc = float("nan") if found["auc"] is None else found["auc"]
    flag = task if size == 28 else f"{task}_{size}"
    name = f"{flag}_{split}_[AUC]{auc:.3f}_[ACC]{found['accuracy']:.3f}@{run}"
    path = folder / f"{name}.csv"
    rows = enumerate(np.asarray(probabilities, "float64"))
    with (
        writing(path),
        replacing(path) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([index, *row] for index, row in rows)
    return path
