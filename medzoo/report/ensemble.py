"""Ensembles from stored probabilities alone: nothing is trained or loaded."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from medzoo.messages import unknown
from medzoo.record import Record
from medzoo.report.results import TrialResults, read_results
from medzoo.report.statistics import (
    Spread,
    harmonic_mean_by_seed,
    over_seeds,
)
from medzoo.report.tables import Cell, Table
from medzoo.scores import probabilities as scores
from medzoo.store import Store
from medzoo.study.spec import Study

_SHOWN = ("macro_f1", "balanced_accuracy", "accuracy", "auc", "cross_entropy")


class Ensemble(NamedTuple):
    """Averaged probabilities of some runs on the images of one task.

    Args:
        task: Name of the task.
        members: Records of the runs.
        scores: By split (`val`, `test`), then by score, as of a run.
        probabilities: By split, shape `(n, num_classes)`.
    """

    task: str
    members: list[Record]
    scores: dict[str, dict[str, float | None]]
    probabilities: dict[str, np.ndarray]


def pick_members(
    results: Sequence[TrialResults], *, best: int = 1, trial: str | None = None
) -> list[TrialResults]:
    """Picks trials whose runs are averaged: the best on val, or one by name.

    Test scores are not used: an ensemble that was picked by its scores on test
    would have seen them.

    Args:
        results: The trials of a study.
        best: How many.
        trial: Name of the only one, in place of the best.

    Raises:
        ValueError: For an unknown trial, or if there are not so many with a
            score on every task.
    """
    if trial is not None:
        found = [r for r in results if r.trial.name == trial]
        if not found:
            names = [r.trial.name for r in results]
            raise ValueError(unknown("trial", trial, names))
        return found
    ranked = sorted(results, key=_val_score, reverse=True)
    ranked = [r for r in ranked if _val_score(r) > -math.inf]
    if not ranked:
        raise ValueError(
            "No trial has a score on every task yet. Run the study to its end; "
            "`medzoo study status` says what is missing."
        )
    if not 1 <= best <= len(ranked):
        raise ValueError(
            f"`best` must be between 1 and {len(ranked)}, the number of "
            f"trials with a score on every task. Received: best={best}."
        )
    return ranked[:best]


def average(
    members: Sequence[TrialResults], task: str, store: Store
) -> Ensemble:
    """Averages the probabilities of all runs of some trials on one task.

    Args:
        members: The trials; all of their seeds take part.
        task: Name of the task.
        store: Where the probabilities are.

    Raises:
        ValueError: If there is no run with stored probabilities, or they are
            not of the same images.
    """
    kept = [
        (record, found)
        for trial in members
        for record in trial.of_task(task)
        if record.status == "done"
        and (found := store.read_task(record.run_id, task))
        and None not in (found.val, found.test)
    ]
    if not kept:
        raise ValueError(f"No finished run on `{task}` has probabilities kept.")
    first = kept[0][1]
    averaged, found_scores = {}, {}
    for split in ("val", "test"):
        labels = getattr(first, split).labels
        shape = getattr(first, split).probabilities.shape
        for record, found in kept:
            mine = getattr(found, split)
            same = np.array_equal(mine.labels, labels)
            if not same or mine.probabilities.shape != shape:
                raise ValueError(
                    f"Runs on `{task}` were scored on different images. "
                    f"Received: {kept[0][0].run_id} and {record.run_id}."
                )
        parts = [
            getattr(found, split).probabilities.astype("float64")
            for _, found in kept
        ]
        averaged[split] = np.mean(parts, axis=0)
        num_classes = averaged[split].shape[1]
        found_scores[split] = scores.score(averaged[split], labels, num_classes)
    return Ensemble(task, [r for r, _ in kept], found_scores, averaged)


def make_ensembles(
    study: Study, store: Store, *, best: int = 1, trial: str | None = None
) -> tuple[list[str], Table]:
    """Scores the ensembles of a study on every task.

    Args:
        study: Its records are read.
        store: Where they are.
        best: How many of the best trials on val to average.
        trial: One trial by name, in place of the best.

    Returns:
        The names of the trials, behind which stands how many seeds took part
        where that is not all, and a table with a row a task: the study's score
        of the ensemble on test, the mean of its members that have it, and
        further scores; macro F1 in place of a score that is not of labels.
    """
    members = pick_members(read_results(study, store), best=best, trial=trial)
    ensembles = [average(members, task, store) for task in study.tasks]
    known = all(study.score in found.scores["test"] for found in ensembles)
    score = study.score if known else "macro_f1"
    shown = [name for name in _SHOWN if name != score]
    rows: list[list[Cell]] = []
    for found in ensembles:
        tested = [r.scores.get("test", {}) for r in found.members]
        alone = [x for r in tested if (x := r.get(score)) is not None]
        test = found.scores["test"]
        rows.append(
            [
                found.task,
                len(found.members),
                _cell(found.scores["val"][score]),
                _cell(test[score]),
                _cell(fmean(alone) if alone else None),
                _cell(max(alone, default=None)),
                *(_cell(test[name]) for name in shown),
            ]
        )
    columns = (
        *("task", "runs", f"val_{score}", score),
        *("mean_of_runs", "best_run", *shown),
    )
    return [_name(m, ensembles) for m in members], Table(columns, rows)


def _name(trial: TrialResults, ensembles: Sequence[Ensemble]) -> str:
    """Names a trial, and how many of its seeds took part if not all did."""
    used = min(
        len(
            {record.run_id for record in found.members}
            & {record.run_id for record in trial.of_task(found.task)}
        )
        for found in ensembles
    )
    name, asked = trial.trial.name, len(trial.seeds)
    return name if used == asked else f"{name} ({used} of {asked} seeds)"


def _cell(value: float | None) -> Cell:
    return None if value is None else Spread(value, 0.0)


def _val_score(trial: TrialResults) -> float:
    """Returns the harmonic mean of its score on val, as a report has it.

    It is the mean of the seeds that have every task.
    """
    by_seed = harmonic_mean_by_seed(trial.matrix(trial.score, "val"))
    mean = over_seeds(by_seed).mean
    return -math.inf if math.isnan(mean) else mean
