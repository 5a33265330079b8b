"""Which candidate is best on val, and how far each has to be trained for it.

By halving, all candidates are trained for a share of the budget, and only the
better ones go on (Jamieson and Talwalkar 2016, "Non-stochastic best arm
identification and hyperparameter optimization", arXiv 1502.07943). Everything
follows from the histories in the records alone, so that a report, and a study
that goes on after a crash, come to the same answer, whatever else trained those
runs further.
"""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from medzoo.training.budget import count_steps
from medzoo.training.evaluate import rank_entry
from medzoo.training.fit import Entry
from medzoo.training.record import Record
from medzoo.wording import word_score

# Shares of the budget after which the better half goes on. Of an odd number the
# larger half does: 5 candidates, then 3, then 2.
HALVING = (0.25, 0.5)
# What a candidate is worth that failed or diverged on any seed.
_WORST = (-math.inf, -math.inf)


class Standing(NamedTuple):
    """How a comparison of candidates stands.

    Args:
        winner: Position of the best candidate; `None` as long as some have to
            be trained further.
        shares: The share of the budget that each has to be trained for, as far
            as that is known. One that is alone needs none to be chosen.
    """

    winner: int | None
    shares: list[float]


def compare(
    candidates: Sequence[Sequence[Record | None]],
    rungs: Sequence[float] = (),
) -> Standing:
    """Finds the candidate with the best mean macro F1 on val over its seeds.

    At equal macro F1 the lower mean loss on val wins, then the first. Weights
    of the best check so far stand for a run, as they do when it is evaluated;
    where `keep` is `last`, those of the last one. A candidate that failed or
    diverged on a seed comes behind all that did not.

    Args:
        candidates: The records of each, one a seed; `None` where there is none.
        rungs: Rising shares of the budget after which only the better half goes
            on; of an odd number, the larger half. `HALVING`, or none.
    """
    alive = list(range(len(candidates)))
    shares = [0.0] * len(candidates)
    for share in (*rungs, 1.0):
        if len(alive) == 1:
            break
        for index in alive:
            shares[index] = share
        records = [record for index in alive for record in candidates[index]]
        if not all(has_reached(record, share) for record in records):
            return Standing(None, shares)
        kept = math.ceil(len(alive) / 2) if share < 1 else 1
        ranks = {i: _rank(candidates[i], share) for i in alive}
        alive.sort(key=lambda index: ranks[index], reverse=True)
        alive = sorted(alive[:kept])
    return Standing(alive[0], shares)


def has_reached(record: Record | None, share: float) -> bool:
    """Says whether a run was trained for a share of its budget, or ended."""
    if record is None:
        return False
    if record.status != "pruned":
        return True
    return (record.history[-1]["step"] or 0) >= share * _num_steps(record)


def steps_until(record: Record, share: float) -> int:
    """Returns the steps of a run up to its check at a share of its budget."""
    return int(_entries(record, share)[-1]["step"] or 0)


def _rank(records: Sequence[Record | None], share: float) -> tuple:
    scores = [best_at(record, share) for record in records]
    if _WORST in scores:
        return _WORST
    return tuple(fmean(values) for values in zip(*scores, strict=True))


def best_at(record: Record | None, share: float) -> tuple[float, float]:
    """Returns macro F1 and minus the loss on val of the weights to evaluate.

    Both are minus infinity for a run that failed, diverged or is missing.
    """
    if record is None or record.status in ("failed", "diverged"):
        return _WORST
    return rank_entry(_kept(record, share))


def score_at(record: Record | None, share: float, name: str) -> float:
    """Returns a score on val of the weights to evaluate.

    Args:
        record: A run; the score is minus infinity as for `best_at`.
        share: Of its budget.
        name: `macro_f1`, which is the harmonic mean for a net of several tasks,
            or `dice`.

    Raises:
        ValueError: If val has no such score.
    """
    if record is None or record.status in ("failed", "diverged"):
        return -math.inf
    entry = _kept(record, share)
    score = entry.get(f"val_{name}")
    if name == "macro_f1":
        score = entry.get("val_harmonic_mean", score)
    if score is None:
        raise ValueError(
            f"`{record.run.task}` has no {word_score(name)} on val: nothing is "
            "labelled there that it counts. Expected another `score`. "
            f"Received: score={name!r}."
        )
    return score


def _kept(record: Record, share: float) -> Entry:
    """Returns the check on val whose weights are evaluated."""
    entries = _entries(record, share)
    if record.run.keep == "last":
        return entries[-1]
    return max(entries, key=rank_entry)


def _entries(record: Record, share: float) -> list[Entry]:
    """Cuts the history at the first check at or after a share of the budget."""
    limit = share * _num_steps(record)
    before = sum((e["step"] or 0) < limit for e in record.history)
    return record.history[: before + 1]


def _num_steps(record: Record) -> int:
    return count_steps(record.run, record.num_images["train"])
