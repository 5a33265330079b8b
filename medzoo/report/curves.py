"""Calibration, ROC and precision-recall curves of trials, with their bands."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from medzoo.report.drawn_runs import DrawnRun, name_classes
from medzoo.report.results import TrialResults
from medzoo.report.tables import Cell, Table
from medzoo.scores.weighted import pool, read_confidence, sort_into_bins

# A band of 95 % is read off, not tested by: 400 draws are enough.
_NUM_DRAWS = 400
GRID = np.linspace(0, 1, 41)


class Curve(NamedTuple):
    """A curve and its 95 % band over other test images.

    Args:
        name: Of the class, or what it is.
        x: Shape `(n,)`.
        y: Mean over the seeds; NaN where it is not known.
        low: Lower end of the band; NaN where there is none.
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
    results: Sequence[TrialResults],
    drawn: Mapping[str, Sequence[DrawnRun]],
    *,
    with_bands: bool = True,
) -> list[TrialCurves]:
    """Finds the curves of all trials whose predictions were kept.

    A curve is the mean over the seeds, at equal places of its x axis; its band
    holds 95 % of these means on drawn test images.

    Args:
        results: The trials.
        drawn: Their runs by task.
        with_bands: Whether to find the bands, which takes most of the time;
            without, their ends are NaN.
    """
    num_draws = _NUM_DRAWS if with_bands else 0
    found = []
    for at, trial in enumerate(results):
        for task in trial.tasks:
            runs = [run for run in drawn[task] if run.trial == at]
            if runs:
                names = name_classes(results, task)
                place = trial.trial.name, task
                found.append(_trace(*place, runs, names, num_draws))
    return found


def _trace(
    trial: str,
    task: str,
    runs: Sequence[DrawnRun],
    names: Sequence[str],
    num_draws: int,
) -> TrialCurves:
    weights = [np.concatenate([*run.draw(num_draws)]) for run in runs]
    drawn = list(zip(runs, weights, strict=True))
    confidence, accuracy, shares = _average([_bin(*each) for each in drawn])
    roc, precision_recall = [], []
    for label, name in enumerate(names):
        values = _average([_follow(run, label, w) for run, w in drawn])
        roc.append(_make(name, GRID, values[0]))
        precision_recall.append(_make(name, GRID, values[1]))
    return TrialCurves(
        trial,
        task,
        _make("accuracy", confidence[0], accuracy),
        shares[0],
        roc,
        precision_recall,
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
    if len(values) == 1:
        return Curve(name, x, values[0], *np.full((2, len(x)), np.nan))
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


def _follow(run: DrawnRun, label: int, weights: np.ndarray) -> np.ndarray:
    """Returns both curves of a class on `GRID`, shape `(2, draws, points)`."""
    is_mine = run.test.labels == label
    if is_mine.all() or not is_mine.any():
        return np.full((2, len(weights), len(GRID)), np.nan)
    pooled = pool(run.test.probabilities[:, label], is_mine, weights)
    found, wrong = (np.cumsum(number, axis=1) for number in pooled)
    return np.stack(
        [_follow_roc(found, wrong), _follow_precision(found, wrong)]
    )


def _follow_roc(found: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Returns the sensitivity at each false positive rate, between points."""
    rates = [
        np.insert(number, 0, 0, axis=1) / number[:, -1:]
        for number in (wrong, found)
    ]
    return np.stack(
        [np.interp(GRID, *each) for each in zip(*rates, strict=True)]
    )


def _follow_precision(found: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Returns the precision where each recall is first reached."""
    least = np.maximum(GRID, 1e-9) - 1e-12
    recalls = found / found[:, -1:]
    at = np.stack([np.searchsorted(recall, least) for recall in recalls])
    mine, others = (
        np.take_along_axis(number, at, axis=1) for number in (found, wrong)
    )
    return mine / (mine + others)


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
