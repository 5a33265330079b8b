"""Which trials lead on val, of a study on the way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self, TypeVar

import numpy as np

from medzoo.report.results import TrialResults, read_results
from medzoo.report.statistics import harmonic_mean_by_seed
from medzoo.scores.table import format_score
from medzoo.store import Store
from medzoo.study.expand import expand
from medzoo.study.spec import Study
from medzoo.study.tuning import plan_runs

_Key = TypeVar("_Key")


@dataclass(frozen=True)
class ValScores:
    """The score of a study on val, of all runs that are done.

    Args:
        score: Its name.
        names: Of the trials.
        values: Shape `(num_trials, num_seeds, num_tasks)`; NaN where no run is
            done.
        statuses: Of the runs that have a record, by `run_id`.
    """

    score: str
    names: list[str]
    values: np.ndarray
    statuses: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Sequence[TrialResults]) -> Self:
        """Takes them from the records of trials."""
        score = results[0].score
        records = [r for trial in results for r in trial.records.values()]
        return cls(
            score,
            [trial.trial.name for trial in results],
            np.stack([trial.matrix(score, "val") for trial in results]),
            {record.run_id: record.status for record in records},
        )


def read_val_scores(
    study: Study, store: Store, *, smoke: bool = False
) -> ValScores:
    """Reads the scores on val, and of a record no more where that is enough.

    See `read_results`.
    """
    cells = expand(study, smoke=smoke)
    several = any(len(run.tasks) > 1 for _, run in cells)
    if several or study.is_looked_at or study.score in study.own_scores:
        return ValScores.of(read_results(study, store, smoke=smoke))
    trials = _number(trial.name for trial, _ in cells)
    seeds = _number(run.seed for _, run in cells)
    tasks = _number(run.task for _, run in cells)
    values = np.full((len(trials), len(seeds), len(tasks)), np.nan)
    found = ValScores(study.score, list(trials), values)
    for trial, run in plan_runs(study, store, smoke=smoke):
        known = store.read_scores(run.run_id)
        if known is None:
            continue
        status, scores = known
        found.statuses[run.run_id] = status
        value = scores.get("val", {}).get(study.score)
        if status == "done" and value is not None:
            at = trials[trial.name], seeds[run.seed], tasks[run.task]
            values[at] = value
    return found


def _number(keys: Iterable[_Key]) -> dict[_Key, int]:
    return {key: at for at, key in enumerate(dict.fromkeys(keys))}


class Leaders(NamedTuple):
    """Trials by their mean score on val, the best first.

    Args:
        names: Names of the trials that are begun.
        means: The mean of each, over the tasks and seeds that all have done.
        num_shared: Number of those tasks and seeds.
        num_cells: Number of all tasks and seeds of the study.
    """

    names: list[str]
    means: list[float]
    num_shared: int
    num_cells: int


def rank_leaders(found: ValScores) -> Leaders | None:
    """Ranks the trials on the tasks and seeds that all begun ones have done.

    Val decides the order, since test belongs to the finished study.

    Returns:
        The order, or `None` where no task and seed is done by two trials or
        more.
    """
    known = ~np.isnan(found.values)
    begun = np.flatnonzero(known.any(axis=(1, 2)))
    shared = known[begun].all(axis=0)
    if len(begun) < 2 or not shared.any():
        return None
    means = _average(found.values[begun], shared)
    order = np.argsort(-means, kind="stable")
    return Leaders(
        [found.names[begun[at]] for at in order],
        means[order].tolist(),
        int(shared.sum()),
        shared.size,
    )


def describe_leaders(found: ValScores) -> str:
    """Words the order of `rank_leaders`: a line, and up to ten trials."""
    leaders = rank_leaders(found)
    if leaders is None:
        return ""
    names = leaders.names[:10]
    width = max(map(len, names))
    score = format_score(found.score)
    score = f"{score[0].upper()}{score[1:]}"
    if found.values.shape[2] > 1:
        score = f"Harmonic mean of {format_score(found.score)}"
    lines = [
        f"{score} on val so far, where all {len(leaders.names)} begun trials "
        f"are done ({leaders.num_shared} of {leaders.num_cells} tasks and "
        "seeds):"
    ]
    lines += [
        f"{place:>3}. {name:<{width}}  {mean:.3f}"
        for place, (name, mean) in enumerate(
            zip(names, leaders.means, strict=False), start=1
        )
    ]
    return "\n".join(lines)


def _average(scores: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Averages as the report does: harmonically over tasks, then over seeds.

    Of a seed the tasks count that all trials share.
    """
    by_seed = [
        harmonic_mean_by_seed(scores[:, seed, tasks])
        for seed, tasks in enumerate(shared)
        if tasks.any()
    ]
    return np.mean(by_seed, axis=0)
