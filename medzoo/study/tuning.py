"""Values that are chosen on val, anew for each trial and task: `[tuned]`.

The candidates are runs like any other, but the labels of test are not read
before the choice, which follows from the records alone.
"""

from collections.abc import Collection, Mapping

from medzoo.study.contests import Contest, make_contests
from medzoo.study.expand import Choices, Planned, expand
from medzoo.study.halving import HALVING, Standing, compare, has_reached
from medzoo.study.job import Job
from medzoo.study.spec import Study
from medzoo.study.store import Store
from medzoo.training.record import Record
from medzoo.training.run import Run


def choose(study: Study, store: Store, *, smoke: bool = False) -> Choices:
    """Reads from the records what was chosen.

    Args:
        study: What is asked.
        store: Where the records of the candidates are.
        smoke: As for `expand`.

    Returns:
        The tuned values by trial and task, such as
        `{("adam", "breastmnist"): {"learning_rate": 0.001}}`. What is not
        chosen yet is absent. A candidate that failed is behind all others.
    """
    contests = make_contests(study, smoke=smoke)
    return _decided(_compare(study, contests, _read(contests, store)))


def plan_runs(
    study: Study, store: Store, *, smoke: bool = False
) -> tuple[Planned, ...]:
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
        study: What is asked.
        store: What is there, from this study and others.
        smoke: As for `expand`.
        units: Those of `list_units` that are ours; all if `None`.
        tried: Jobs that were executed just now. They are not listed again, and
            those that failed stand back behind the others; without, what failed
            is tried again.
    """
    contests = make_contests(study, smoke=smoke)
    if units is not None:
        contests = [c for c in contests if c.cell in units]
    runs_tried = {job.run for job in tried}
    records = {
        run_id: record
        for run_id, record in _read(contests, store).items()
        if record.status != "failed" or record.run in runs_tried
    }
    found = _compare(study, contests, records)
    jobs = _candidate_jobs(found, records)
    if not jobs:
        planned = expand(study, smoke=smoke, choices=_decided(found))
        runs = dict.fromkeys(item.run for item in planned)
        if units is not None and study.tuned is None:
            runs = dict.fromkeys(run for run in runs if run in units)
        jobs = [Job(run) for run in runs if not store.has_done(run.run_id)]
    return [job for job in jobs if job not in tried]


def _read(contests: list[Contest], store: Store) -> dict[str, Record]:
    return store.read_many(
        run.run_id
        for contest in contests
        for runs in contest.runs
        for run in runs
    )


def _compare(
    study: Study, contests: list[Contest], records: Mapping[str, Record]
) -> list[tuple[Contest, Standing]]:
    halve = study.tuned is not None and study.tuned.prune == "halving"
    return [
        (
            contest,
            compare(
                [[records.get(r.run_id) for r in c] for c in contest.runs],
                HALVING if halve else (),
            ),
        )
        for contest in contests
    ]


def _decided(found: list[tuple[Contest, Standing]]) -> Choices:
    return {
        contest.key: contest.values[standing.winner]
        for contest, standing in found
        if standing.winner is not None
    }


def _candidate_jobs(
    found: list[tuple[Contest, Standing]], records: Mapping[str, Record]
) -> list[Job]:
    """Lists what is missing for the next cuts, one seed after the other."""
    wanted = [
        (seed, run, share)
        for contest, standing in found
        if standing.winner is None
        for runs, share in zip(contest.runs, standing.shares, strict=True)
        for seed, run in enumerate(runs)
        if not has_reached(records.get(run.run_id), share)
    ]
    wanted.sort(key=lambda item: item[0])
    jobs = [
        Job(run, None if share == 1 else share, read_test=False)
        for _, run, share in wanted
    ]
    return list(dict.fromkeys(jobs))
