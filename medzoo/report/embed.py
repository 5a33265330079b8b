"""The numbers of a study as the page carries them: plain lists and words."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from medzoo.report.aggregate import Spread
from medzoo.report.bars import Bar, costs_of, make_bars
from medzoo.report.by_run import make_runs
from medzoo.report.compare import Difference
from medzoo.report.confusion import count_confusions
from medzoo.report.figures.critical_difference import FEWEST_TASKS
from medzoo.report.grid import make_grid
from medzoo.report.intervals import Estimate
from medzoo.report.matrix import TrialResults
from medzoo.report.pages import describe_failure
from medzoo.report.stats import StudyStatistics
from medzoo.report.tables import Cell, Table
from medzoo.study.spec import Study
from medzoo.study.store import Store
from medzoo.tasks import word_tasks
from medzoo.training.record import Record
from medzoo.wording import word_score

# Columns of the table of runs on the page; `runs.csv` has all.
RUN_COLUMNS = (
    "trial",
    "task",
    "seed",
    "status",
    "val_macro_f1",
    "test_macro_f1",
    "test_balanced_accuracy",
    "test_accuracy",
    "test_auc",
    "train_seconds",
    "images_per_second",
    "parameters",
    "best_step",
    "started",
    "device",
    "run_id",
)
CURVES = ("epoch", "val_macro_f1", "val_loss", "loss")
# A curve of more points than this is thinned.
_MOST_POINTS = 100


def make_data(
    study: Study,
    results: Sequence[TrialResults],
    summary: Table,
    store: Store,
    statistics: StudyStatistics,
) -> dict[str, Any]:
    """Makes all that the scripts of the page show.

    Args:
        study: What was asked.
        results: The trials, the best first.
        summary: The table of trials.
        store: Where the predictions are.
        statistics: Estimates of the trials.

    Returns:
        Plain values for JSON; what is unknown is `None`.
    """
    runs = make_runs(results)
    at = [runs.columns.index(name) for name in RUN_COLUMNS]
    shown = [[row[index] for index in at] for row in runs.rows]
    return {
        "tasks": results[0].tasks,
        "score": word_score(study.score),
        "summary": _plain_table(summary),
        "runs": _plain_table(Table(RUN_COLUMNS, shown)),
        "trials": [_make_trial(study, trial, statistics) for trial in results],
        "histories": {
            _key(record, task): _make_history(record)
            for trial in results
            for (_, task), record in trial.records.items()
            if record.history
        },
        "failures": [
            _make_failure(trial, record)
            for trial in results
            for record in trial.failed
        ],
        "classes": [
            {
                "task": found.task,
                "names": found.classes,
                "counts": found.counts.tolist(),
                "f1": [plain(value) for value in found.f1.mean(axis=0)],
            }
            for found in count_confusions(results[0], store)
        ],
        "ranks": _make_ranks(statistics),
        "heat_map": _make_heat_map(study, results, statistics),
    }


def plain(value: Cell) -> Any:
    """Turns a cell into a value of JSON, rounded to what a reader can see.

    Returns:
        `[value, half of its interval]` for an estimate, `[value, lower end,
        upper end]` for a difference.
    """
    if isinstance(value, Spread):
        return plain(value.mean)
    if isinstance(value, Estimate):
        return [plain(value.mean), plain(value.half_width)]
    if isinstance(value, Difference):
        return [plain(x) for x in (value.estimate, value.low, value.high)]
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def _make_heat_map(
    study: Study,
    results: Sequence[TrialResults],
    statistics: StudyStatistics,
) -> dict[str, Any] | None:
    grid = make_grid(study, results, statistics)
    if grid is None:
        return None
    values = [[plain(value) for value in row] for row in grid.values.tolist()]
    return {"rows": grid.rows, "columns": grid.columns, "values": values}


def _make_ranks(statistics: StudyStatistics) -> dict[str, Any] | None:
    """Makes the critical-difference diagram of a study of many tasks."""
    found = statistics.friedman
    if found is None or found.num_tasks < FEWEST_TASKS:
        return None
    return {
        "names": list(found.average_ranks),
        "ranks": [plain(rank) for rank in found.average_ranks.values()],
        "critical_difference": plain(found.critical_difference),
        "groups": found.groups,
    }


def _plain_table(table: Table) -> dict[str, Any]:
    rows = [[plain(cell) for cell in row] for row in table.rows]
    return {"columns": table.columns, "rows": rows}


def _make_trial(
    study: Study, trial: TrialResults, statistics: StudyStatistics
) -> dict[str, Any]:
    runs: dict[str, list[str]] = {task: [] for task in trial.tasks}
    for (_, task), record in sorted(trial.records.items()):
        if record.history:
            runs[task].append(_key(record, task))
    bars = make_bars(trial, statistics)
    return {
        "name": trial.trial.name,
        "baseline": trial.trial == study.baseline,
        "scores": {key: _plain_bar(bar) for key, bar in bars.items()},
        "runs": runs,
        **{key: plain(cost) for key, cost in costs_of(trial).items()},
    }


def _key(record: Record, task: str) -> str:
    """Names a history: of a run, or of one task of a run of several."""
    run_id = record.run_id
    return run_id if record.run.task == task else f"{run_id}/{task}"


def _plain_bar(bar: Bar) -> dict[str, Any]:
    values = [plain(value) for value in bar.values.tolist()]
    ends = {key: plain(float(getattr(bar, key))) for key in bar._fields[1:]}
    return {"values": values, **ends}


def _make_history(record: Record) -> dict[str, list[Any]]:
    count = len(record.history)
    kept = np.linspace(0, count - 1, min(count, _MOST_POINTS)).round()
    entries = [record.history[int(index)] for index in kept]
    return {
        name: [plain(entry.get(name)) for entry in entries] for name in CURVES
    }


def _make_failure(trial: TrialResults, record: Record) -> dict[str, str]:
    run = record.run
    return {
        "run_id": record.run_id,
        "where": (
            f"{trial.trial.name}, {word_tasks(run.task)}, seed {run.seed}"
        ),
        "message": describe_failure(record),
        "traceback": str((record.error or {}).get("traceback") or ""),
    }
