"""Abstention: what is left, and how good, where unsure images are put aside."""

import functools
from collections.abc import Iterator

import numpy as np

from medzoo.report.drawn_runs import (
    DrawnRun,
    average_known,
    estimate_drawn,
    lay_out,
)
from medzoo.report.evidence import Evidence
from medzoo.report.tables import Cell, Table
from medzoo.scores.counts import LABEL_SCORES

# Shares of val that a threshold of the confidence keeps.
SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)


def choose_threshold(confidence: np.ndarray, share: float) -> float:
    """Returns the highest threshold that keeps a share of images.

    Args:
        confidence: Highest probability of each image of val, shape `(n,)`.
        share: The least that is kept, where the confidence is the threshold or
            more; all, also of other images, for 1.

    Example:

    >>> choose_threshold(np.array([0.9, 0.5, 0.7, 0.8]), 0.5)
    0.8
    """
    if share >= 1:
        return 0.0
    number = max(1, int(np.ceil(share * len(confidence) - 1e-9)))
    return float(np.sort(confidence)[len(confidence) - number])


def make_selective(evidence: Evidence) -> Table:
    """Makes a row for each trial, task and share of val that is kept.

    `coverage` is the share of test that the threshold of val keeps, `risk` the
    share of errors in it, beside a score of labels on it: that of the study,
    or macro F1.
    """
    score = evidence.study.score
    score = score if score in LABEL_SCORES else "macro_f1"
    place = ("trial", "task", "kept_of_val", "threshold")
    columns = (*place, "coverage", "risk", score)
    list_rows = functools.partial(_list_rows, evidence, score=score)
    return lay_out(columns, evidence.results, list_rows)


def _list_rows(
    evidence: Evidence, task: str, score: str
) -> Iterator[tuple[int, list[Cell]]]:
    results = evidence.results
    runs = evidence.drawn[task]
    for share in SHARES:
        thresholds: dict[int, list[float]] = {}
        found: list[dict[tuple[int, int], np.ndarray]] = [{}, {}, {}]
        for run in runs:
            confidence = run.val.probabilities.max(axis=1)
            threshold = choose_threshold(confidence, share)
            thresholds.setdefault(run.trial, []).append(threshold)
            measured = _measure(run, threshold, score)
            for values, drawn in zip(found, measured, strict=True):
                values[run.trial, run.seed] = drawn
        cells = [
            estimate_drawn(results, values, bounds)
            for values, bounds in zip(
                found, ((0.0, 1.0), (0.0, 1.0), (-1.0, 1.0)), strict=True
            )
        ]
        for at, mine in thresholds.items():
            name = results[at].trial.name
            place: list[Cell] = [name, task, share, average_known(mine)]
            yield at, [*place, *(column[at] for column in cells)]


def _measure(run: DrawnRun, threshold: float, score: str) -> list[np.ndarray]:
    """Measures coverage, risk and the score on test and on its draws."""
    test, size = run.test, run.num_classes
    is_kept = test.probabilities.max(axis=1) >= threshold
    cells = np.eye(size**2)[test.labels * size + test.predicted_labels]
    parts = []
    for weights in run.draw():
        counts = weights @ (cells * is_kept[:, None])
        matrices = counts.reshape(-1, size, size)
        coverage = counts.sum(axis=1) / weights.sum(axis=1)
        risk = 1 - LABEL_SCORES["accuracy"](matrices)
        parts.append([coverage, risk, LABEL_SCORES[score](matrices)])
    return [np.concatenate(each) for each in zip(*parts, strict=True)]
