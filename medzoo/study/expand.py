"""From a study to its runs."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from medzoo.data.custom.about import require_attributes
from medzoo.models.options import Value
from medzoo.runs.run import Run
from medzoo.runs.sources import with_fingerprint
from medzoo.study.spec import Study
from medzoo.study.trials import Trial
from medzoo.tasks import join_tasks

SMOKE_STEPS = 2
SMOKE_IMAGES = 64


# The tuned values of each trial, by its name, and task or tasks.
Choices = Mapping[tuple[str, str], dict[str, Value]]


class PlannedRun(NamedTuple):
    """A run with the trial that it belongs to."""

    trial: Trial
    run: Run


def expand(
    study: Study, *, smoke: bool = False, choices: Choices | None = None
) -> tuple[PlannedRun, ...]:
    """Lists every run of a study: seeds change last, and trials first.

    A trial is run once a task and seed; one of the model `multi_head` once a
    seed, on all tasks.

    They are executed in this order but for one thing: a worker that has traced
    a graph goes on with the runs that share it.

    Args:
        study: What to expand.
        smoke: Only shows that all of it works: two steps over 64 images, and
            the first seed alone. Trials that differ in their budget are then
            the same run.
        choices: What was chosen for `[tuned]`; a trial that is not among them
            is left out for that task. Without, tuned values have the defaults
            of a run: this lists every cell of the tables.

    Example:

    >>> from medzoo.study.spec import read_study
    >>> study = read_study("quickstart").override(tasks=["breastmnist"])
    >>> [trial.name for trial, run in expand(study) if run.seed == 0]
    ['learning_rate=0.0001', 'learning_rate=0.001', 'learning_rate=0.1']
    """
    if study.tuned is None or choices is None:
        return _expand_cells(study, smoke)
    return _expand(study, smoke, choices)


def is_shared(study: Study, trial: Trial) -> bool:
    """Says whether one run of a trial is about all tasks of the study."""
    model = (study.fixed | trial.values).get("model")
    return model == "multi_head"


# A study is expanded for its plan, its execution and its report.
@functools.lru_cache(maxsize=4)
def _expand_cells(study: Study, smoke: bool) -> tuple[PlannedRun, ...]:
    return _expand(study, smoke)


def _expand(
    study: Study, smoke: bool, choices: Choices | None = None
) -> tuple[PlannedRun, ...]:
    require_attributes(study.data, study.data_options)
    seeds = study.seeds[:1] if smoke else study.all_seeds
    cells = []
    for task, trial in _list_cells(study):
        values = {} if choices is None else choices.get((trial.name, task))
        if values is not None:
            run = _make_run(study, trial, values, task, seeds[0], smoke)
            given = study.given.get(trial.name, len(seeds))
            cells.append((trial, run.with_seeds(seeds[:given])))
    return tuple(
        PlannedRun(trial, runs[at])
        for at in range(len(seeds))
        for trial, runs in cells
        if at < len(runs)
    )


def _list_cells(study: Study) -> Iterator[tuple[str, Trial]]:
    # Custom data are one task, of any name.
    several = len(study.tasks) > 1
    every = join_tasks(study.tasks) if several else study.tasks[0]
    for task in study.tasks:
        for trial in study.trials:
            if not is_shared(study, trial):
                yield task, trial
            elif task == study.tasks[0]:
                yield every, trial


def _make_run(
    study: Study,
    trial: Trial,
    tuned: dict[str, Value],
    task: str,
    seed: int,
    smoke: bool,
) -> Run:
    values: dict[str, Any] = study.fixed | trial.values | tuned
    if smoke:
        values |= {"steps": SMOKE_STEPS, "max_images": SMOKE_IMAGES}
        values.pop("epochs", None)
    run = Run(
        task=task,
        data=study.data,
        data_options=study.data_options,
        seed=seed,
        **values,
    )
    return with_fingerprint(run)
