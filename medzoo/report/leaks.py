"""Scores without the test images that leak, from stored probabilities."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medzoo.record import (
    Record,
    SplitPredictions,
    round_probabilities,
)
from medzoo.report.images import fingerprint_of
from medzoo.report.own_scores import compute_score
from medzoo.report.results import TrialResults
from medzoo.report.statistics import Spread, mean_over_tasks
from medzoo.report.tables import Table
from medzoo.scores.counts import LABEL_SCORES
from medzoo.scores.weighted import WEIGHTED_SCORES
from medzoo.store import Reader
from medzoo.study.audits import name_audit

LEAKS = "leaks.csv"


@dataclass(frozen=True)
class LeakScore:
    """The score of a trial on a task, with and without leaks.

    Args:
        num_images: Of the test split.
        num_leaks: Those that train has as well.
        whole: Score on all test images, by seed.
        without: Score on those that do not leak, by seed.
    """

    num_images: int
    num_leaks: int
    whole: dict[int, float]
    without: dict[int, float]


def find_leak_scores(
    results: Sequence[TrialResults], store: Reader
) -> dict[str, dict[str, LeakScore]]:
    """Scores trials on the test images that do not leak, without training.

    Args:
        results: The trials of a study.
        store: Has their predictions, and what audits found.

    Returns:
        By trial, then by task; none of data that are not audited or do not
        leak, nor of a task of which a run misses its predictions. None of
        scores of masks or of plugins.
    """
    found: dict[str, dict[str, LeakScore]] = {}
    if results[0].score not in {*LABEL_SCORES, *WEIGHTED_SCORES}:
        return found
    for trial in results:
        for task in trial.tasks:
            scored = _score_task(trial, task, store)
            if scored is not None:
                found.setdefault(trial.trial.name, {})[task] = scored
    return found


def average_without(
    trial: TrialResults, found: dict[str, dict[str, LeakScore]]
) -> Spread | None:
    """Averages over tasks as tables do; `None` unless all tasks have it."""
    by_task = found.get(trial.trial.name, {})
    if len(by_task) < len(trial.tasks):
        return None
    columns = [by_task[task].without for task in trial.tasks]
    return mean_over_tasks(
        np.array([[c.get(s, np.nan) for c in columns] for s in trial.seeds])
    )


def make_leaks(
    results: Sequence[TrialResults], found: dict[str, dict[str, LeakScore]]
) -> Table:
    """Makes `leaks.csv`, a row for each trial and task that leaks."""
    score = results[0].score
    return Table(
        (
            "trial", "task", "test_images", "leaking_images",
            score, f"{score}_without_leaks", "difference",
        ),
        [
            [name, task, each.num_images, each.num_leaks,
             *map(_average, (each.whole, each.without, {
                 s: each.without[s] - each.whole[s] for s in each.whole}))]
            for name, by_task in found.items()
            for task, each in by_task.items()
        ],
    )  # fmt: skip


def _average(by_seed: dict[int, float]) -> float:
    return round(float(np.mean(list(by_seed.values()))), 6)


def _score_task(
    trial: TrialResults, task: str, store: Reader
) -> LeakScore | None:
    leaks, size = np.empty(0, np.int64), 0
    wholes: dict[int, float] = {}
    others: dict[int, float] = {}
    for record in trial.of_task(task):
        if record.status != "done":
            continue
        leaks = read_test_leaks(record, task, store)
        whole = record.scores.get("test", {}).get(trial.score)
        if not len(leaks) or whole is None:
            return None
        test = store.read_task(record.run_id, task).test
        if test is None:
            return None
        size = len(test.labels)
        if leaks.max() >= size:
            return None
        without = compute_score(trial.score, _leave_out(test, leaks))
        if without is None:
            return None
        wholes[record.run.seed] = whole
        others[record.run.seed] = without
    return LeakScore(size, len(leaks), wholes, others) if wholes else None


def read_test_leaks(record: Record, task: str, store: Reader) -> np.ndarray:
    """Reads the places of the test images that an audit found in train.

    There are none for a run without these images in train, nor for one that
    tests another part of the data.
    """
    none = np.empty(0, np.int64)
    fingerprint = fingerprint_of(record, task)
    if record.run.is_resplit or record.run.data_options.get("drop_leaks"):
        return none
    try:
        content = store.read_file(name_audit(fingerprint))
        kept = json.loads(content or b"{}")
        if kept.get("fingerprint") != fingerprint:
            return none
        return np.array(kept.get("test_leaks", []), np.int64)
    except (OSError, ValueError, AttributeError):
        return none


def _leave_out(test: SplitPredictions, rows: np.ndarray) -> SplitPredictions:
    # As evidence has them, so that it gives the same numbers.
    probabilities = round_probabilities(np.delete(test.probabilities, rows, 0))
    return SplitPredictions(probabilities, np.delete(test.labels, rows))
