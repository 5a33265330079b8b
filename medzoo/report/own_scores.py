"""Scores beside those of records, from kept predictions.

They are those of plugins, and those of the table that a study asks for.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from medzoo.plugins.scores import compute_own, list_own_scores
from medzoo.record import Predictions, Record, SplitPredictions
from medzoo.scores.counts import LABEL_SCORES, confusion_matrix
from medzoo.scores.table import SCORES
from medzoo.scores.weighted import WEIGHTED_SCORES, compute_weighted
from medzoo.store import Reader


def with_own_scores(
    records: Mapping[str, Record], store: Reader, asked: Iterable[str] = ()
) -> dict[str, Record]:
    """Adds scores of plugins, and those asked for, to records that are done.

    Args:
        records: By `run_id`; they are not changed.
        store: Holds the predictions of their runs.
        asked: Further scores of the table.
    """
    further = [name for name in asked if SCORES[name].needs == "kept"]
    names = [*list_own_scores(), *further]
    if not names:
        return dict(records)
    return {key: _add(record, names, store) for key, record in records.items()}


def _add(record: Record, names: list[str], store: Reader) -> Record:
    if record.status != "done":
        return record
    predictions = store.read_predictions(record.run_id) or Predictions()
    added = record.model_copy(deep=True)
    for task, mine in added.by_task.items():
        _fill_in(mine.scores, names, predictions.of_task(task))
    _fill_in(added.scores, names, predictions)
    return added


def _fill_in(
    scores: dict[str, dict[str, float | None]],
    names: list[str],
    predictions: Predictions,
) -> None:
    splits = {"val": predictions.val, "test": predictions.test}
    for split, found in splits.items():
        if found is None or split not in scores:
            continue
        # Those of evidence are there, as its numbers are rounded.
        missing = [name for name in names if name not in scores[split]]
        scores[split].update(compute_scores(missing, found))


def compute_score(name: str, split: SplitPredictions) -> float | None:
    """Computes a score of labels or probabilities; `None` where it has none."""
    return compute_scores([name], split)[name]


def compute_scores(
    names: Iterable[str], split: SplitPredictions
) -> dict[str, float | None]:
    """Computes scores of labels, probabilities and plugins."""
    names = list(names)
    of_labels = [name for name in names if name in LABEL_SCORES]
    weighted = [name for name in names if name in WEIGHTED_SCORES]
    found: dict[str, float | None] = {
        name: compute_own(name, split.probabilities, split.labels)
        for name in names
        if name not in LABEL_SCORES and name not in WEIGHTED_SCORES
    }
    labels = np.asarray(split.labels).reshape(-1)
    is_kept = labels >= 0
    if not is_kept.any():
        return dict.fromkeys(names) | found
    labels = labels[is_kept].astype("int64")
    probabilities = split.probabilities[is_kept].astype("float64")
    predicted, num_classes = probabilities.argmax(1), probabilities.shape[1]
    counts = confusion_matrix(labels, predicted, num_classes)
    values = {name: LABEL_SCORES[name](counts) for name in of_labels}
    ones = np.ones(len(labels))
    values |= compute_weighted(weighted, probabilities, labels, ones)
    for name, value in values.items():
        found[name] = float(value) if math.isfinite(value) else None
    return {name: found[name] for name in names}
