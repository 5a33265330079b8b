"""Calibration, ROC and precision-recall curves of trials, with their bands."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from medzoo.report.drawn_runs import DrawnRun, list_drawn, name_classes
from medzoo.report.results import TrialResults
from medzoo.report.tables import Cell, Table
from medzoo.scores.weighted import pool, read_confidence, sort_into_bins
from medzoo.store import Reader

# A band of 95 % is read off, not tested by: 400 draws are enough.
_NUM_DRAWS = 400
GRID = np.linspace(0, 1, 41)


class Curve(NamedTuple):
    """A curve and its 95 % band over other test images.

    Args:
        name: Of the class, or what it is.
        x: Shape `(n,)`.
        y: Mean over the seeds; NaN where it is not known.
        low: Lower end of the band.
        high: Upper end.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


class TrialCurves(NamedTuple):
    """The curves of a trial on a task.

    Args:
        trial: Its name.
        task: The task.
        calibration: Accuracy by confidence, at the mean confidence of bins.
        shares: Share of the images in each bin of the confidence.
        roc: Sensitivity by false positive rate, of each class.
        precision_recall: Precision by recall, of each class.
    """

    trial: str
    task: str
    calibration: Curve
    shares: np.ndarray
    roc: list[Curve]
    precision_recall: list[Curve]


def find_curves(
    results: Sequence[TrialResults], store: Reader
) -> list[TrialCurves]:
    """Finds the curves of all trials whose predictions were kept.

    A curve is the mean over the seeds, at equal places of its x axis; its band
    holds 95 % of these means on drawn test images.
    """
    found = []
    for trial in results:
        for task in trial.tasks:
            runs = list(list_drawn([trial], task, store))
            if runs:
                names = name_classes(results, task)
                found.append(_trace(trial.trial.name, task, runs, names))
    return found


def _trace(
    trial: str, task: str, runs: Sequence[DrawnRun], names: Sequence[str]
) -> TrialCurves:
    weights = [np.concatenate([*run.draw(_NUM_DRAWS)]) for run in runs]
    confidence, accuracy, shares = _average(
        [_bin(run, drawn) for run, drawn in zip(runs, weights, strict=True)]
    )
    kinds: list[list[Curve]] = []
    for along in (_follow_roc, _follow_precision):
        curves = []
        for label, name in enumerate(names):
            drawn = [
                _follow(run, label, w, along)
                for run, w in zip(runs, weights, strict=True)
            ]
            curves.append(_make(name, GRID, _average(drawn)))
        kinds.append(curves)
    return TrialCurves(
        trial,
        task,
        _make("accuracy", confidence[0], accuracy),
        shares[0],
        *kinds,
    )


def _average(values: Sequence[np.ndarray]) -> np.ndarray:
    """Averages runs over what is known."""
    stacked = np.stack(values)
    known = ~np.isnan(stacked)
    number = known.sum(axis=0)
    total = np.where(known, stacked, 0).sum(axis=0)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _make(name: str, x: np.ndarray, values: np.ndarray) -> Curve:
    """Makes a curve of values on test itself, then on its draws."""
    drawn = np.sort(values[1:], axis=0)  # NaN comes last.
    number = (~np.isnan(drawn)).sum(axis=0)
    ends = [
        np.take_along_axis(drawn, at[None], axis=0)[0]
        for share in (0.025, 0.975)
        for at in [np.round(share * np.maximum(number - 1, 0)).astype(int)]
    ]
    return Curve(name, x, values[0], *ends)


def _bin(run: DrawnRun, weights: np.ndarray) -> np.ndarray:
    """Returns confidence, accuracy and share of bins, `(3, draws, bins)`."""
    confidence, is_right = read_confidence(
        run.test.probabilities, run.test.labels
    )
    members = sort_into_bins(confidence)
    number = weights @ members
    known = np.where(number > 0, number, np.nan)
    return np.stack(
        [
            weights @ (members * confidence[:, None]) / known,
            weights @ (members * is_right[:, None]) / known,
            number / weights.sum(axis=1, keepdims=True),
        ]
    )


def _follow(
    run: DrawnRun,
    label: int,
    weights: np.ndarray,
    along: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Returns the curve of a class on `GRID`, of each draw."""
    is_mine = run.test.labels == label
    if is_mine.all() or not is_mine.any():
        return np.full((len(weights), len(GRID)), np.nan)
    pooled = pool(run.test.probabilities[:, label], is_mine, weights)
    return np.stack([along(*pair) for pair in zip(*pooled, strict=True)])


def _follow_roc(mine: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the sensitivity at each false positive rate, between points."""
    found = np.append(0, np.cumsum(mine)) / mine.sum()
    wrong = np.append(0, np.cumsum(others)) / others.sum()
    return np.interp(GRID, wrong, found)


def _follow_precision(mine: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the precision where each recall is first reached."""
    found, wrong = np.cumsum(mine), np.cumsum(others)
    at = np.searchsorted(found / found[-1], np.maximum(GRID, 1e-9) - 1e-12)
    return found[at] / (found[at] + wrong[at])


def make_curves(found: Sequence[TrialCurves]) -> Table:
    """Makes a row for each point of each curve."""
    rows: list[list[Cell]] = []
    for each in found:
        place = each.trial, each.task
        kinds = {
            "calibration": [each.calibration],
            "roc": each.roc,
            "precision_recall": each.precision_recall,
        }
        for kind, curves in kinds.items():
            for curve in curves:
                points = np.round(np.stack(curve[1:], axis=1), 5).tolist()
                rows += [
                    [*place, kind, curve.name, *point]
                    for point in points
                    if not np.isnan(point[1])
                ]
    columns = ("trial", "task", "curve", "of", "x", "y", "low", "high")
    return Table(columns, rows)
