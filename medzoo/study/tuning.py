"""Values chosen on val for each trial and task: the table `[tuned]`."""

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from medzoo.execution.job import Job
from medzoo.models.options import Value
from medzoo.record import Record
from medzoo.runs.run import Run
from medzoo.scores.table import format_score
from medzoo.store import Reader, Store
from medzoo.study.expand import Choices, PlannedRun, expand
from medzoo.study.spec import Study
from medzoo.study.trials import Trial
from medzoo.training.objectives import objective_class
from medzoo.training.trainer import Entry, count_steps


class TuningProblem(NamedTuple):
    """The candidates of one trial on one task.

    Args:
        cell: Its run of the first seed, as `expand` lists it without choices.
        values: The tuned values of each candidate.
        runs: The runs of each candidate, one a tuning seed.
    """

    trial: Trial
    task: str
    cell: Run
    values: tuple[dict[str, Value], ...]
    runs: tuple[tuple[Run, ...], ...]

    @property
    def key(self) -> tuple[str, str]:
        """What its choice is called: the name of the trial, and the task."""
        return self.trial.name, self.task


def make_tuning_problems(
    study: Study, *, smoke: bool = False
) -> list[TuningProblem]:
    """Lists what is to be chosen; nothing if the study tunes nothing.

    Args:
        smoke: See `expand`; a smoke run takes the first tuning seed alone.
    """
    if study.tuned is None:
        return []
    values = tuple(study.tuned.candidates())
    runs = [_expand_all(study, v, study.tune_seeds, smoke) for v in values]
    cells = expand(study.with_seeds(study.seeds[:1]), smoke=smoke)
    return [
        TuningProblem(
            trial,
            cell.task,
            cell,
            values,
            tuple(found[trial.name, cell.task] for found in runs),
        )
        for trial, cell in cells
    ]


def plan_all(
    study: Study, *, smoke: bool = False, choices: Choices | None = None
) -> tuple[PlannedRun, ...]:
    """Lists all that a study trains, at most: candidates and final runs.

    Where nothing is chosen yet, the first candidate replaces the winner.

    Args:
        choices: What is chosen already, so that no candidates are needed.
    """
    if study.tuned is None:
        return expand(study, smoke=smoke)
    problems = make_tuning_problems(study, smoke=smoke)
    chosen = {problem.key: problem.values[0] for problem in problems}
    candidates = [
        PlannedRun(problem.trial, run)
        for problem in problems
        if problem.key not in (choices or {})
        for runs in problem.runs
        for run in runs
    ]
    final = expand(study, smoke=smoke, choices=chosen | dict(choices or {}))
    return tuple(dict.fromkeys([*candidates, *final]))


def list_units(study: Study, *, smoke: bool = False) -> list[Run]:
    """Lists what can be done in different places: the runs of a study.

    With `[tuned]` it is a trial's work on one task, represented by its run of
    the first seed, since a choice needs all of its candidates.
    """
    problems = make_tuning_problems(study, smoke=smoke)
    runs = [problem.cell for problem in problems] or [
        item.run for item in expand(study, smoke=smoke)
    ]
    return list(dict.fromkeys(runs))


def name_runs(study: Study, *, smoke: bool = False) -> dict[Run, str]:
    """Names each run that a study may ask for: its trial, its tuned values."""
    if study.tuned is None:
        planned = expand(study, smoke=smoke)
        return {item.run: item.trial.name for item in planned}
    names: dict[Run, str] = {}
    for values in study.tuned.candidates():
        chosen = ", ".join(f"{key}={value}" for key, value in values.items())
        for seeds in (study.all_seeds, study.tune_seeds):
            found = _expand_all(study, values, seeds, smoke)
            for (trial, _), runs in found.items():
                names |= dict.fromkeys(runs, f"{trial}, {chosen}")
    return names


def _expand_all(
    study: Study, values: dict[str, Value], seeds: Sequence[int], smoke: bool
) -> dict[tuple[str, str], tuple[Run, ...]]:
    """Lists the runs of one candidate by trial and task, one a seed."""
    study = study.with_seeds(seeds)
    cells = expand(study, smoke=smoke)
    keys = [(trial.name, run.task) for trial, run in cells]
    choices = dict.fromkeys(keys, values)
    found: dict[tuple[str, str], tuple[Run, ...]] = dict.fromkeys(keys, ())
    for trial, run in expand(study, smoke=smoke, choices=choices):
        found[trial.name, run.task] += (run,)
    return found


# Shares of the budget after which the better half goes on. Of an odd number the
# larger half does: 5 candidates, then 3, then 2.
HALVING = (0.25, 0.5)
# What a candidate is worth that failed or diverged on any seed.
_WORST = (-math.inf, -math.inf)


class Ranking(NamedTuple):
    """Result of a comparison of candidates, as far as it is known.

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
) -> Ranking:
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
            return Ranking(None, shares)
        kept = math.ceil(len(alive) / 2) if share < 1 else 1
        ranks = {i: _rank(candidates[i], share) for i in alive}
        alive.sort(key=lambda index: ranks[index], reverse=True)
        alive = sorted(alive[:kept])
    return Ranking(alive[0], shares)


def has_reached(record: Record | None, share: float) -> bool:
    """Says whether a run was trained for a share of its budget, or ended."""
    if record is None:
        return False
    if record.status != "pruned":
        return True
    if not _has_checks(record):
        return False
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
    if record is None or not _has_checks(record):
        return _WORST
    return objective_class(record.run).rank(_kept(record, share))


def score_at(record: Record | None, share: float, name: str) -> float:
    """Returns a score on val of the weights to evaluate.

    Args:
        record: A run; the score is minus infinity if it failed, diverged or is
            missing.
        share: Of its budget.
        name: `macro_f1`, which is the harmonic mean for a net of several tasks,
            or `dice`.

    Raises:
        ValueError: If val has no such score.
    """
    if record is None or not _has_checks(record):
        return -math.inf
    entry = _kept(record, share)
    score = entry.get(f"val_{name}")
    if name == "macro_f1":
        score = entry.get("val_harmonic_mean", score)
    if score is None:
        raise ValueError(
            f"`{record.run.task}` has no {format_score(name)} on val: nothing "
            "is labelled there that it counts. Expected another `score`. "
            f"Received: score={name!r}."
        )
    return score


def _kept(record: Record, share: float) -> Entry:
    """Returns the check on val whose weights are evaluated."""
    entries = _entries(record, share)
    if record.run.keep == "last":
        return entries[-1]
    return max(entries, key=objective_class(record.run).rank)


def _entries(record: Record, share: float) -> list[Entry]:
    """Cuts the history at the first check at or after a share of the budget."""
    limit = share * _num_steps(record)
    before = sum((e["step"] or 0) < limit for e in record.history)
    return record.history[: before + 1]


def _has_checks(record: Record) -> bool:
    """Says whether a run came to an end that can be compared with others'."""
    return (
        record.status not in ("failed", "diverged")
        and bool(record.history)
        and all("step" in entry for entry in record.history)
        and record.num_images.get("train", 0) > 0
    )


def _num_steps(record: Record) -> int:
    return count_steps(record.run, record.num_images["train"])


def choose(study: Study, store: Store, *, smoke: bool = False) -> Choices:
    """Reads from the records what was chosen.

    Args:
        store: Where the records of the candidates are.

    Returns:
        The tuned values by trial and task, such as
        `{("adam", "breastmnist"): {"learning_rate": 0.001}}`. What is not
        chosen yet is absent. A candidate that failed is behind all others.
    """
    return _decided(rank_candidates(study, store, smoke=smoke)[0])


def rank_candidates(
    study: Study, store: Reader, *, smoke: bool = False
) -> tuple[list[tuple[TuningProblem, Ranking]], dict[str, Record]]:
    """Compares the candidates of each trial on each task by their records.

    Args:
        store: Where the records are.

    Returns:
        What is known of each choice, and the records by `run_id`.
    """
    problems = make_tuning_problems(study, smoke=smoke)
    records = _read(problems, store)
    return _compare(study, problems, records), records


def plan_runs(
    study: Study, store: Store, *, smoke: bool = False
) -> tuple[PlannedRun, ...]:
    """Lists the runs of a study so far as their tuned values are chosen.

    Without `[tuned]` it is `expand`. Candidates that do not win are no part of
    it: tables are made from these runs.
    """
    if study.tuned is None:
        return expand(study, smoke=smoke)
    choices = choose(study, store, smoke=smoke)
    return expand(study, smoke=smoke, choices=choices)


def next_jobs(
    study: Study,
    store: Store,
    *,
    smoke: bool = False,
    units: Collection[Run] | None = None,
    tried: Collection[Job] = (),
) -> list[Job]:
    """Lists what is to be executed next, in order; nothing at the end.

    Candidates come first, up to where the next of them can be cut; when every
    choice is made, the runs of the winners do. So this is called again after
    its jobs, until nothing is left.

    Args:
        store: Records of this study and others.
        units: Those of `list_units` that are ours; all if `None`.
        tried: Jobs that were executed just now. They are not listed again, and
            those that failed rank behind the others; without, what failed is
            tried again.
    """
    problems = make_tuning_problems(study, smoke=smoke)
    if units is not None:
        problems = [c for c in problems if c.cell in units]
    runs_tried = {job.run for job in tried}
    records = {
        run_id: record
        for run_id, record in _read(problems, store).items()
        if record.status != "failed" or record.run in runs_tried
    }
    found = _compare(study, problems, records)
    jobs = _candidate_jobs(found, records)
    if not jobs:
        planned = expand(study, smoke=smoke, choices=_decided(found))
        runs = dict.fromkeys(item.run for item in planned)
        if units is not None and study.tuned is None:
            runs = dict.fromkeys(run for run in runs if run in units)
        jobs = [Job(run) for run in runs if not store.has_done(run.run_id)]
    return [job for job in jobs if job not in tried]


def _read(problems: list[TuningProblem], store: Reader) -> dict[str, Record]:
    return store.read_many(
        run.run_id
        for problem in problems
        for runs in problem.runs
        for run in runs
    )


def _compare(
    study: Study, problems: list[TuningProblem], records: Mapping[str, Record]
) -> list[tuple[TuningProblem, Ranking]]:
    halve = study.tuned is not None and study.tuned.prune == "halving"
    return [
        (
            problem,
            compare(
                [[records.get(r.run_id) for r in c] for c in problem.runs],
                HALVING if halve else (),
            ),
        )
        for problem in problems
    ]


def _decided(found: list[tuple[TuningProblem, Ranking]]) -> Choices:
    return {
        problem.key: problem.values[ranking.winner]
        for problem, ranking in found
        if ranking.winner is not None
    }


def _candidate_jobs(
    found: list[tuple[TuningProblem, Ranking]], records: Mapping[str, Record]
) -> list[Job]:
    """Lists what is missing for the next cuts, one seed after the other."""
    wanted = [
        (seed, run, share)
        for problem, ranking in found
        if ranking.winner is None
        for runs, share in zip(problem.runs, ranking.shares, strict=True)
        for seed, run in enumerate(runs)
        if not has_reached(records.get(run.run_id), share)
    ]
    wanted.sort(key=lambda item: item[0])
    jobs = [
        Job(run, None if share == 1 else share, read_test=False)
        for _, run, share in wanted
    ]
    return list(dict.fromkeys(jobs))
