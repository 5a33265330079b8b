"""Candidates of a search, their runs, and their scores on val."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, harmonic_mean

from medzoo.execution.job import Job
from medzoo.models.options import Value
from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.search.search_file import Search
from medzoo.store import Store
from medzoo.study.tuning import has_reached, score_at


@dataclass(frozen=True)
class Candidate:
    """One choice of values, trained on all tasks with all seeds.

    Args:
        number: Its number, from 1, in the order of the search.
        values: Values of the active keys of the space.
        runs: By task, one run a seed.
        share: Share of the budget that they are trained for, 0 to 1.
        goal: Name of the score on val that is maximised.
    """

    number: int
    values: Mapping[str, Value] = field(hash=False)
    runs: Mapping[str, tuple[Run, ...]] = field(hash=False)
    share: float = 1.0
    goal: str = "macro_f1"

    def jobs(self, store: Store) -> list[Job]:
        """Lists the missing jobs; none of them reads test."""
        until = None if self.share == 1 else self.share
        return [
            Job(run, until, read_test=False)
            for runs in self.runs.values()
            for run in runs
            if not self._is_there(store.read(run.run_id))
        ]

    def records(self, store: Store) -> list[Record]:
        """Reads the existing records of its runs."""
        ids = [run.run_id for runs in self.runs.values() for run in runs]
        return list(store.read_many(ids).values())

    def score(self, store: Store) -> float | None:
        """Returns the objective, 0 to 1; `None` if a run failed or is missing.

        It is the goal on val, the mean over the seeds and, for several tasks,
        the harmonic mean over them.

        Raises:
            ValueError: If val has no such score.
        """
        means = []
        for runs in self.runs.values():
            records = [store.read(run.run_id) for run in runs]
            found = [score_at(r, self.share, self.goal) for r in records]
            means.append(fmean(found))
        return None if -math.inf in means else harmonic_mean(means)

    def _is_there(self, record: Record | None) -> bool:
        if record is None or record.status == "failed":
            return False
        return has_reached(record, self.share)


@dataclass(frozen=True)
class Tried:
    """The result of a candidate.

    Args:
        number: Its number, from 1, in the order of the search.
        values: Its values.
        share: Share of the budget that it was trained for.
        score: The objective; `None` if a run failed.
        seconds: Training time of all its runs so far.
        run_ids: Ids of its runs.
        error: Reason of a missing score.
    """

    number: int
    values: Mapping[str, Value] = field(hash=False)
    share: float
    score: float | None
    seconds: float
    run_ids: tuple[str, ...]
    error: str = ""


def make_candidate(
    search: Search, number: int, values: Mapping[str, Value], share: float = 1.0
) -> Candidate:
    """Makes the runs of a candidate."""
    about = search.document
    runs = {
        task: tuple(
            search.make_run(dict(values), task, seed) for seed in about.seeds
        )
        for task in about.tasks
    }
    return Candidate(number, dict(values), runs, share, about.score)


def judge(candidate: Candidate, store: Store) -> Tried:
    """Reads the result of a candidate from its records."""
    records = candidate.records(store)
    score = candidate.score(store)
    return Tried(
        number=candidate.number,
        values=candidate.values,
        share=candidate.share,
        score=score,
        seconds=sum(r.seconds.get("total", 0.0) for r in records),
        run_ids=tuple(
            run.run_id for runs in candidate.runs.values() for run in runs
        ),
        error="" if score is not None else _explain(records),
    )


def _explain(records: list[Record]) -> str:
    for record in records:
        if record.error is not None:
            kind, message = record.error["type"], record.error["message"]
            return f"{kind}: {message}"
    diverged = any(record.status == "diverged" for record in records)
    return "diverged: the loss is not finite" if diverged else "not finished"
