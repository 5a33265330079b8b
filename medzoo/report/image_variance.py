"""How much a run's macro F1 would differ on other test images.

Images are drawn, not cells of a confusion matrix, since only the former pairs
runs: two trials that see the same test images share their luck, and it leaves
their difference only if both are scored on the same draws. Nothing is
stratified: another test split of that size would have other class counts too.
"""

import contextlib
import math
import os
import uuid
import zlib
from pathlib import Path

import numpy as np

from medzoo.report.matrix import TrialResults
from medzoo.study.store import Store
from medzoo.training.record import Record, predictions_of

# The standard deviation of 500 replicates is right to 3 %.
NUM_REPLICATES = 500


def bootstrap_macro_f1(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    num_replicates: int = NUM_REPLICATES,
) -> np.ndarray:
    """Scores a run on test splits that are drawn from its own, with repeats.

    The draws follow from the labels alone, so that runs on the same images in
    the same order are scored on the same draws: replicate `b` of one run and
    replicate `b` of another are a pair.

    Args:
        probabilities: Shape `(n, num_classes)`.
        labels: Integers, shape `(n,)`; -1 marks an unlabelled image.
        num_replicates: How often to draw.

    Returns:
        Macro F1 in `[0, 1]`, shape `(num_replicates,)`.

    Example:

    >>> bootstrap_macro_f1(np.eye(2), np.array([0, 0]), num_replicates=4).shape
    (4,)

    Reference:
        [Efron, 1979](https://doi.org/10.1214/aos/1176344552).
    """
    cells, num_classes, labels = _cells(probabilities, labels)
    seed = zlib.crc32(labels.astype("<i4").tobytes())
    random = np.random.default_rng([seed, len(labels)])
    counts = np.stack(
        [
            np.bincount(
                cells[random.integers(len(cells), size=len(cells))],
                minlength=num_classes**2,
            )
            for _ in range(num_replicates)
        ]
    )
    return _macro_f1(counts.reshape(-1, num_classes, num_classes))


def read_replicates(
    store: Store, record: Record, task: str | None = None
) -> np.ndarray | None:
    """Reads the bootstrap of a run on test, or makes and keeps it.

    It lies beside the record as `<run_id>.boot.npy`, of several tasks with the
    task's name in it: the score itself, then the replicates. A file that
    belongs to another score than the record's is made anew, so a run that was
    executed again is never given old replicates.

    Returns:
        Shape `(NUM_REPLICATES,)`; `None` if the run is not done, or its
        predictions were not kept or are not those of its score.
    """
    score = record.scores.get("test", {}).get("macro_f1")
    if record.status != "done" or score is None:
        return None
    run_id, task = record.run_id, task or record.run.task
    name = run_id if record.run.task == task else f"{run_id}.{task}"
    path = store.folder / run_id[:2] / f"{name}.boot.npy"
    kept = _read(path)
    if kept is None or not math.isclose(kept[0], score, abs_tol=1e-6):
        found = predictions_of(store.read_predictions(run_id) or {}, task)
        if not {"test", "test_labels"} <= found.keys():
            return None
        kept = _score_and_replicates(found["test"], found["test_labels"])
        if not math.isclose(kept[0], score, abs_tol=1e-6):
            return None
        _write(path, kept)
    return kept[1:]


def replicate_matrix(results: TrialResults, store: Store) -> np.ndarray:
    """Lays out the bootstraps of a trial on test like its score matrix.

    Returns:
        Macro F1, shape `(NUM_REPLICATES, num_seeds, num_tasks)`; NaN where a
        run has none.
    """
    shape = (NUM_REPLICATES, len(results.seeds), len(results.tasks))
    matrix = np.full(shape, np.nan)
    for (seed, task), record in results.records.items():
        replicates = read_replicates(store, record, task)
        if replicates is not None:
            row, column = results.seeds.index(seed), results.tasks.index(task)
            matrix[:, row, column] = replicates
    return matrix


def _cells(
    probabilities: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, int, np.ndarray]:
    """Numbers the cell of the confusion matrix that each image falls into."""
    labels = np.asarray(labels).astype("int64").reshape(-1)
    kept = labels >= 0
    labels, num_classes = labels[kept], probabilities.shape[1]
    predicted = probabilities[kept].argmax(axis=1)
    return labels * num_classes + predicted, num_classes, labels


def _macro_f1(counts: np.ndarray) -> np.ndarray:
    """Returns the macro F1 of confusion matrices, shape `(..., k, k)`."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    total = counts.sum(axis=-1) + counts.sum(axis=-2)
    return (2 * hits / np.maximum(total, 1)).mean(axis=-1)


def _score_and_replicates(
    probabilities: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    cells, num_classes, _ = _cells(probabilities, labels)
    counts = np.bincount(cells, minlength=num_classes**2)
    score = _macro_f1(counts.reshape(num_classes, num_classes))
    return np.append(score, bootstrap_macro_f1(probabilities, labels))


def _read(path: Path) -> np.ndarray | None:
    try:
        kept = np.load(path, allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return kept if kept.shape == (NUM_REPLICATES + 1,) else None


def _write(path: Path, values: np.ndarray) -> None:
    """Keeps values under their name at once; a full disk is no error."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with contextlib.suppress(OSError):
        with open(part, "xb") as file:
            np.save(file, values, allow_pickle=False)
        os.replace(part, path)
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)
