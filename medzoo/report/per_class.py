"""Rates of each class, one against the rest, at the arg-max and a threshold."""

import functools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from medzoo.record import SplitPredictions
from medzoo.report.drawn_runs import (
    DrawnRun,
    average_known,
    estimate_drawn,
    lay_out,
    name_classes,
)
from medzoo.report.evidence import Evidence
from medzoo.report.tables import Cell, Table
from medzoo.scores.counts import make_rates
from medzoo.scores.operating_point import OperatingPoint
from medzoo.scores.weighted import areas_by_class

ARG_MAX = "arg-max"
_RATES = ("sensitivity", "specificity", "ppv", "npv")
_AREAS = ("auc", "average_precision")
MEASURES = (*_RATES, *_AREAS)


class _ClassRates(NamedTuple):
    """What one run reached on test, class by class.

    Args:
        counts: Images by class, shape `(num_classes,)`.
        thresholds: By what decides, shape `(num_classes,)`; NaN for none.
        values: By what decides and measure, shape `(1 + NUM_REPLICATES,
            num_classes)`: on test itself, then on its draws.
    """

    counts: np.ndarray
    thresholds: dict[str, np.ndarray]
    values: dict[tuple[str, str], np.ndarray]


def make_per_class(evidence: Evidence) -> Table:
    """Makes a row for each trial, task, class and what decides.

    Rates are those of the arg-max, and where the study names an operating
    point also those of thresholds that val has chosen: a class is found where
    its probability is the threshold or more. Each has its interval over seeds
    and test images.
    """
    columns = ("trial", "task", "class", "at", "threshold", "n", *MEASURES)
    list_rows = functools.partial(_list_rows, evidence)
    return lay_out(columns, evidence.results, list_rows)


def _list_rows(
    evidence: Evidence, task: str
) -> Iterator[tuple[int, list[Cell]]]:
    """Yields rows, each behind the position of its trial."""
    results, text = evidence.results, evidence.study.operating_point
    found = {
        (run.trial, run.seed): _rate(run, text) for run in evidence.drawn[task]
    }
    by_trial: dict[int, list[_ClassRates]] = {}
    for (at, _), rates in found.items():
        by_trial.setdefault(at, []).append(rates)
    for label, name in enumerate(name_classes(results, task)):
        for decides in [ARG_MAX, *[text] * bool(text)]:
            cells = [
                estimate_drawn(
                    results,
                    {
                        place: rates.values[decides, measure][:, label]
                        for place, rates in found.items()
                    },
                )
                for measure in MEASURES
            ]
            for at, mine in by_trial.items():
                thresholds = [r.thresholds[decides][label] for r in mine]
                yield (
                    at,
                    [
                        *(results[at].trial.name, task, name, decides),
                        average_known(thresholds),
                        round(float(np.mean([r.counts[label] for r in mine]))),
                        *(column[at] for column in cells),
                    ],
                )


def _rate(run: DrawnRun, point: str) -> _ClassRates:
    test, num_classes = run.test, run.num_classes
    eye = np.eye(num_classes, dtype=bool)
    found = {ARG_MAX: eye[test.predicted_labels]}
    thresholds = {ARG_MAX: np.full(num_classes, np.nan)}
    if point:
        thresholds[point] = OperatingPoint.parse(point).choose(
            run.val.probabilities, run.val.labels
        )
        found[point] = test.probabilities >= thresholds[point]
    parts = [_measure(test, weights, found) for weights in run.draw()]
    values = {
        key: np.concatenate([part[key] for part in parts]) for key in parts[0]
    }
    for text, chosen in thresholds.items():
        for name in _RATES if text != ARG_MAX else ():
            values[text, name][:, np.isnan(chosen)] = np.nan
    return _ClassRates(eye[test.labels].sum(axis=0), thresholds, values)


def _measure(
    test: SplitPredictions, weights: np.ndarray, found: Mapping[str, np.ndarray]
) -> dict[tuple[str, str], np.ndarray]:
    """Measures draws of test, shape `(num_draws, num_classes)` each."""
    areas = areas_by_class(test.probabilities, test.labels, weights)
    truth = np.eye(test.probabilities.shape[1])[test.labels]
    total = weights.sum(axis=1, keepdims=True)
    parts = [
        truth,
        *(p for each in found.values() for p in (truth * each, each)),
    ]
    sums = weights @ np.concatenate(parts, axis=1)
    counted = iter(np.split(sums, len(parts), axis=1))
    of_label = next(counted)
    measured: dict[tuple[str, str], np.ndarray] = {}
    for text in found:
        rates = make_rates(next(counted), of_label, next(counted), total)
        measured |= {(text, n): v for n, v in (rates | areas).items()}
    return measured
