"""Rates of each class, one against the rest, at the arg-max and a threshold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from medzoo.record import Predictions, Record, SplitPredictions
from medzoo.report.bootstrap import NUM_REPLICATES, draw_weights, keep_labelled
from medzoo.report.evidence import Evidence
from medzoo.report.results import TrialResults
from medzoo.report.statistics import estimate_all
from medzoo.report.tables import Cell, Table
from medzoo.scores.counts import make_rates
from medzoo.scores.operating_point import OperatingPoint
from medzoo.scores.weighted import areas_by_class
from medzoo.store import Reader

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
            num_classes)`: on the split itself, then on its draws.
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
    rows = [
        row
        for task in evidence.results[0].tasks
        for row in _list_rows(evidence, task)
    ]
    rows.sort(key=lambda pair: pair[0])
    return Table(columns, [row for _, row in rows])


def _list_rows(
    evidence: Evidence, task: str
) -> Iterator[tuple[int, list[Cell]]]:
    """Yields rows, each behind the position of its trial."""
    text = evidence.study.operating_point
    found = {
        (at, seed): rates
        for at, trial in enumerate(evidence.results)
        for seed, record in _list_done(trial, task)
        if (rates := _rate(record, task, evidence.store, text)) is not None
    }
    by_trial: dict[int, list[_ClassRates]] = {}
    for (at, _), rates in found.items():
        by_trial.setdefault(at, []).append(rates)
    for label, name in enumerate(_name_classes(evidence.results, task)):
        for decides in [ARG_MAX, *[text] * bool(text)]:
            cells = [
                _estimate(evidence, found, (decides, measure), label)
                for measure in MEASURES
            ]
            for at, mine in by_trial.items():
                trial = evidence.results[at].trial.name
                yield (
                    at,
                    [
                        *(trial, task, name, decides),
                        _mean([r.thresholds[decides][label] for r in mine]),
                        round(float(np.mean([r.counts[label] for r in mine]))),
                        *(column[at] for column in cells),
                    ],
                )


def _list_done(trial: TrialResults, task: str) -> list[tuple[int, Record]]:
    return [
        (trial.seeds.index(seed), record)
        for (seed, name), record in trial.records.items()
        if name == task and record.status == "done"
    ]


def _name_classes(results: Sequence[TrialResults], task: str) -> list[str]:
    found = [r.classes for t in results for r in t.of_task(task) if r.classes]
    return found[0] if found else []


def _mean(values: Sequence[float]) -> float | None:
    known = np.array(values)[~np.isnan(values)]
    return round(float(known.mean()), 6) if len(known) else None


def _estimate(
    evidence: Evidence,
    found: Mapping[tuple[int, int], _ClassRates],
    key: tuple[str, str],
    label: int,
) -> list[Cell]:
    """Estimates one measure of one class for all trials."""
    results = evidence.results
    shape = (1 + NUM_REPLICATES, len(results), len(results[0].seeds))
    values = np.full(shape, np.nan)
    for (row, column), rates in found.items():
        values[:, row, column] = rates.values[key][:, label]
    given = np.array([trial.num_given for trial in results])
    overlap = max(trial.overlap for trial in results)
    return list(
        estimate_all(values[0], values[1:], given=given, overlap=overlap)
    )


def _rate(
    record: Record, task: str, store: Reader, point: str
) -> _ClassRates | None:
    """Rates a run; `None` if its predictions were not kept."""
    predictions = store.read_predictions(record.run_id) or Predictions()
    predictions = predictions.of_task(task)
    if predictions.test is None or predictions.val is None:
        return None
    test = keep_labelled(predictions.test)
    if not len(test.labels):
        return None
    num_classes = test.probabilities.shape[1]
    eye = np.eye(num_classes, dtype=bool)
    found = {ARG_MAX: eye[test.predicted_labels]}
    thresholds = {ARG_MAX: np.full(num_classes, np.nan)}
    if point:
        val = keep_labelled(predictions.val)
        thresholds[point] = OperatingPoint.parse(point).choose(
            val.probabilities, val.labels
        )
        found[point] = test.probabilities >= thresholds[point]
    fold = record.run.seed if record.run.is_resplit else None
    parts = [_measure(test, np.ones((1, len(test.labels))), found)]
    for weights in draw_weights(test.labels, num_classes, fold=fold):
        parts.append(_measure(test, weights, found))
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
    measured: dict[tuple[str, str], np.ndarray] = {}
    for text, is_found in found.items():
        rates = make_rates(
            weights @ (truth * is_found),
            weights @ truth,
            weights @ is_found,
            weights.sum(axis=1, keepdims=True),
        )
        measured |= {(text, n): v for n, v in (rates | areas).items()}
    return measured
