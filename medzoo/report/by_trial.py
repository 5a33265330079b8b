"""The tables with a row a trial."""

import math
from collections.abc import Iterable, Sequence

from medzoo.report.aggregate import (
    harmonic_mean_over_tasks,
    mean_over_tasks,
    over_seeds,
)
from medzoo.report.matrix import TrialResults
from medzoo.report.tables import Cell, Table
from medzoo.training.record import Record

SCORES = (
    "macro_f1",
    "balanced_accuracy",
    "accuracy",
    "auc",
    "loss",
    "cross_entropy",
)
COSTS = ("parameters", "train_seconds")


def rank(results: Iterable[TrialResults]) -> list[TrialResults]:
    """Puts the best trial first: by harmonic mean, then by macro F1.

    Trials without a value come last; equal ones keep the order of the study.
    """
    return sorted(results, key=_badness)


def _badness(trial: TrialResults) -> list[float]:
    scores = trial.matrix("macro_f1")
    means = harmonic_mean_over_tasks(scores).mean, mean_over_tasks(scores).mean
    return [math.inf if math.isnan(mean) else -mean for mean in means]


def make_summary(
    results: Sequence[TrialResults], axis_names: Sequence[str]
) -> Table:
    """Makes the table of scores on test, averaged over tasks, and of costs.

    Args:
        results: The trials in the order of the rows.
        axis_names: Axes whose values say which trial a row is.
    """
    rows: list[list[Cell]] = [
        [
            harmonic_mean_over_tasks(trial.matrix("macro_f1")),
            *(mean_over_tasks(trial.matrix(score)) for score in SCORES),
            *_costs(trial.done),
            len(trial.done),
            len(trial.failed),
        ]
        for trial in results
    ]
    columns = ("harmonic_mean", *SCORES, *COSTS, "runs_done", "runs_failed")
    return _lead(Table(columns, rows), results, axis_names)


def make_per_task(
    results: Sequence[TrialResults], axis_names: Sequence[str]
) -> Table:
    """Makes the table of macro F1 on test by task.

    Args:
        results: The trials in the order of the rows.
        axis_names: Axes whose values say which trial a row is.
    """
    rows: list[list[Cell]] = []
    for trial in results:
        scores = trial.matrix("macro_f1")
        by_task = [over_seeds(column) for column in scores.T]
        harmonic_mean = harmonic_mean_over_tasks(scores)
        rows.append([len(trial.done), *by_task, harmonic_mean])
    columns = ("runs_done", *results[0].tasks, "harmonic_mean")
    return _lead(Table(columns, rows), results, axis_names)


def _costs(done: Sequence[Record]) -> list[Cell]:
    """Averages total parameters and seconds of training over finished runs."""
    totals = [r.parameters.total for r in done if r.parameters is not None]
    seconds = [r.seconds["train"] for r in done if "train" in r.seconds]
    return [
        round(sum(totals) / len(totals)) if totals else None,
        round(sum(seconds) / len(seconds), 3) if seconds else None,
    ]


def _lead(
    table: Table, results: Sequence[TrialResults], axis_names: Sequence[str]
) -> Table:
    """Puts the values of the axes before each row, so far as they tell it.

    An axis with the name of a column is called `axis_loss` beside `loss`. The
    trial's name comes first if it says more than the values do.
    """
    trials = [trial.trial for trial in results]
    named = not axis_names or any(
        str(value) not in trial.name
        for trial in trials
        for value in trial.values.values()
    )
    leads: list[list[Cell]] = [
        [
            *[trial.name] * named,
            *(_text(trial.values.get(axis)) for axis in axis_names),
        ]
        for trial in trials
    ]
    axes = (f"axis_{a}" if a in table.columns else a for a in axis_names)
    return Table(
        ("trial",) * named + (*axes, *table.columns),
        [lead + row for lead, row in zip(leads, table.rows, strict=True)],
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
