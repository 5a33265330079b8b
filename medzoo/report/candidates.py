"""Candidates of the table `[tuned]`: what each reached on val, and who won."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from pydantic import BaseModel

from medzoo.models.options import Value
from medzoo.record import Record
from medzoo.report.tables import Cell, Table
from medzoo.store import Reader
from medzoo.study.spec import Study
from medzoo.study.tuning import (
    TuningProblem,
    best_at,
    has_reached,
    rank_candidates,
)

CANDIDATES = "candidates.csv"
_FAILED = ("failed", "diverged")


class Candidate(BaseModel):
    """One candidate of a trial on one task.

    Args:
        trial: Name of the trial.
        task: Of its runs.
        values: The tuned values.
        run_ids: Of its runs, one a tuning seed.
        failed: How many of them failed or diverged.
        share: The part of the budget that it was last compared at: 1 without
            halving, 0 for the only candidate.
        score: What ranks candidates, mean over its runs at that part: macro F1
            on val, or Dice where masks alone are learned. `None` if one of them
            failed or is missing.
        loss: On val, likewise.
        chosen: Whether it won. `None` before the choice is made.
    """

    trial: str
    task: str
    values: dict[str, Value]
    run_ids: list[str]
    failed: int
    share: float
    score: float | None
    loss: float | None
    chosen: bool | None


def read_candidates(
    study: Study, store: Reader, *, smoke: bool = False
) -> list[Candidate]:
    """Reads what the candidates of a study reached; none if it tunes nothing.

    Args:
        study: What was tuned.
        store: Where the records of the candidates are.
        smoke: Whether it was a smoke run.
    """
    found, records = rank_candidates(study, store, smoke=smoke)
    return [
        _describe(problem, index, records, share, ranking.winner)
        for problem, ranking in found
        for index, share in enumerate(ranking.shares)
    ]


def _describe(
    problem: TuningProblem,
    index: int,
    records: Mapping[str, Record],
    share: float,
    winner: int | None,
) -> Candidate:
    run_ids = [run.run_id for run in problem.runs[index]]
    own = [records.get(run_id) for run_id in run_ids]
    reached = share > 0 and all(has_reached(record, share) for record in own)
    ranks = [best_at(r, share) for r in own] if reached else [(math.nan,) * 2]
    score, loss = _average(ranks)
    return Candidate(
        trial=problem.trial.name,
        task=problem.task,
        values=problem.values[index],
        run_ids=run_ids,
        failed=sum(r is not None and r.status in _FAILED for r in own),
        share=share,
        score=score,
        loss=None if loss is None else -loss,
        chosen=None if winner is None else index == winner,
    )


def _average(ranks: Sequence[tuple[float, ...]]) -> list[float | None]:
    means = (fmean(values) for values in zip(*ranks, strict=True))
    return [round(mean, 6) if math.isfinite(mean) else None for mean in means]


def make_candidates(candidates: Sequence[Candidate]) -> Table:
    """Makes `candidates.csv`, a row a candidate, as they were listed."""
    keys = tuple(dict.fromkeys(k for c in candidates for k in c.values))
    return Table(
        (
            "trial",
            "task",
            *keys,
            "share_of_budget",
            "val_score",
            "val_loss",
            "failed",
            "chosen",
            "run_ids",
        ),
        [list(_list_cells(c, keys)) for c in candidates],
    )


def _list_cells(found: Candidate, keys: Sequence[str]) -> Iterator[Cell]:
    yield from (found.trial, found.task)
    yield from (_format(found.values.get(key)) for key in keys)
    yield from (found.share, found.score, found.loss, found.failed)
    yield {True: "yes", False: "no", None: None}[found.chosen]
    yield " ".join(found.run_ids)


def _format(value: Value | None) -> Cell:
    return value if isinstance(value, int | float | str) else str(value)
