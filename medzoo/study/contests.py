"""What `[tuned]` leaves open: the candidates of each trial on each task."""

from collections.abc import Sequence
from typing import NamedTuple

from medzoo.study.document import Value
from medzoo.study.expand import Choices, Planned, expand
from medzoo.study.spec import Study
from medzoo.study.trials import Trial
from medzoo.training.run import Run


class Contest(NamedTuple):
    """The candidates of one trial on one task.

    Args:
        trial: The trial.
        task: Name of the task.
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


def make_contests(study: Study, *, smoke: bool = False) -> list[Contest]:
    """Lists what is to be chosen; nothing if the study tunes nothing.

    Args:
        study: What is asked.
        smoke: As for `expand`; it takes the first tuning seed alone.
    """
    if study.tuned is None:
        return []
    values = tuple(study.tuned.candidates())
    runs = [_expand_all(study, v, study.tune_seeds, smoke) for v in values]
    cells = expand(study.override(seeds=study.seeds[:1]), smoke=smoke)
    return [
        Contest(
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
) -> tuple[Planned, ...]:
    """Lists all that a study trains, at most: candidates and final runs.

    Where nothing is chosen yet, the first candidate stands for the winner.

    Args:
        study: What is asked.
        smoke: As for `expand`.
        choices: What is chosen already, so that no candidates are needed.
    """
    contests = make_contests(study, smoke=smoke)
    chosen = {contest.key: contest.values[0] for contest in contests}
    candidates = [
        Planned(contest.trial, run)
        for contest in contests
        if contest.key not in (choices or {})
        for runs in contest.runs
        for run in runs
    ]
    final = expand(study, smoke=smoke, choices=chosen | dict(choices or {}))
    return tuple(dict.fromkeys([*candidates, *final]))


def list_units(study: Study, *, smoke: bool = False) -> list[Run]:
    """Lists what can be done in different places: the runs of a study.

    With `[tuned]` it is a trial's work on one task, which its run of the first
    seed stands for, since a choice needs all of its candidates.
    """
    contests = make_contests(study, smoke=smoke)
    runs = [contest.cell for contest in contests] or [
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
        told = ", ".join(f"{key}={value}" for key, value in values.items())
        for seeds in (study.seeds, study.tune_seeds):
            found = _expand_all(study, values, seeds, smoke)
            for (trial, _), runs in found.items():
                names |= dict.fromkeys(runs, f"{trial}, {told}")
    return names


def _expand_all(
    study: Study, values: dict[str, Value], seeds: Sequence[int], smoke: bool
) -> dict[tuple[str, str], tuple[Run, ...]]:
    """Lists the runs of one candidate by trial and task, one a seed."""
    study = study.override(seeds=seeds)
    cells = expand(study, smoke=smoke)
    keys = [(trial.name, run.task) for trial, run in cells]
    choices = dict.fromkeys(keys, values)
    found: dict[tuple[str, str], tuple[Run, ...]] = dict.fromkeys(keys, ())
    for trial, run in expand(study, smoke=smoke, choices=choices):
        found[trial.name, run.task] += (run,)
    return found
